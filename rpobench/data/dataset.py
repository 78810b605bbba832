"""A loaded data set: labelled examples of one task and split, their references, and what is known of their users."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rpobench.data.lazy_examples import list_examples, list_ids, list_targets
from rpobench.types import UNSCORED, Example, Labelled, RpobenchError

if TYPE_CHECKING:
    from rpobench.store.origin import DataOrigin


@dataclass(frozen=True)
class DataSet:
    """Examples of one task and split, in file order.

    Attributes:
        task: The task's name.
        source: What specs call the data: a world with its knobs, such as "synth-v2?noise=0.1", or a folder's name.
        split: "train", "dev" or "test".
        labelled: The examples with their targets.
        references: For each reference ("best_generic", "oracle") its answer by example id; empty for real data.
        topics: What an example or a profile item is about, by its id; empty for real data.
        users: Whether the ids of users were "given" or "inferred".
        synthetic: Whether users and texts are made up.
        origin: Where the examples come from and under which licence; None where the data does not say.
        sample: By which rule a part of the examples was left out, see `rpobench.data.user_sample`; None where all are
            there, or the first of them.
        has_targets: Whether there are targets. LaMP withholds those of its test split: then every target is empty, and
            nothing can be scored.
        withholds_texts: Whether the manifest of its folder says that texts stay where they are: packed runs have none.
    """

    task: str
    source: str
    split: str
    labelled: Sequence[Labelled]
    references: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    users: str = "given"
    synthetic: bool = False
    origin: DataOrigin | None = None
    sample: str | None = None
    has_targets: bool = True
    withholds_texts: bool = False

    @property
    def examples(self) -> Sequence[Example]:
        """The examples without their targets; those of a large file are read when they are asked for."""
        return list_examples(self.labelled)

    @property
    def ids(self) -> list[str]:
        """The example ids in order."""
        return list_ids(self.examples)

    @property
    def targets(self) -> list[str]:
        """The targets in the order of the examples.

        Raises:
            RpobenchError: There are none.
        """
        if not self.has_targets:
            raise RpobenchError(f"{self.source}: {self.task} {self.split} is {UNSCORED}")
        return list_targets(self.labelled)

    @cached_property
    def sha256(self) -> str:
        """The hash of all examples and targets, 64 hex digits: equal hashes mean equal questions and equal answers."""
        digest = hashlib.sha256()
        for labelled in self.labelled:
            example = labelled.example

            profile = []
            for item in example.profile:
                day = item.date.isoformat() if item.date else None
                profile.append([item.id, sorted(item.fields.items()), day])

            target = labelled.target if self.has_targets else None
            record = [example.id, example.user_id, example.input, profile, target]
            digest.update(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def find_shared_example(first: DataSet, second: DataSet) -> str | None:
    """Find an example that stands in two data sets with the same input.

    Args:
        first: A data set.
        second: Another data set of the same task.

    Returns:
        The id of the first such example of `second`; None where they share none.
    """
    first_positions = {example_id: position for position, example_id in enumerate(first.ids)}

    # Only examples of one id are read, which of a large file are few.
    for position, example_id in enumerate(second.ids):
        if example_id not in first_positions:
            continue
        if first.examples[first_positions[example_id]].input == second.examples[position].input:
            return example_id
    return None
