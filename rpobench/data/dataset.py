"""A loaded data set: labelled examples of one task and split, their references, and what is known of their users."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rpobench.types import Labelled


@dataclass(frozen=True)
class DataSet:
    """Examples of one task and split, in file order.

    `source` is "synth-v1" or a folder's name. `references` maps a reference's name ("best_generic", "oracle") to its
    answer for each example id, `topics` an example's or a profile item's id to what it is about; both are empty where
    nobody knows. `users` says whether user ids were "given" or "inferred".
    """

    task: str
    source: str
    split: str
    labelled: Sequence[Labelled]
    references: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    users: str = "given"
    synthetic: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hash of every example and target: two data sets with the same hash ask and expect the same."""
        digest = hashlib.sha256()
        for labelled in self.labelled:
            example = labelled.example

            profile = []
            for item in example.profile:
                day = item.date.isoformat() if item.date else None
                profile.append([item.id, sorted(item.fields.items()), day])

            record = [example.id, example.user_id, example.input, profile, labelled.target]
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
    first_keys = {(labelled.example.id, labelled.example.input) for labelled in first.labelled}

    for labelled in second.labelled:
        example = labelled.example
        if (example.id, example.input) in first_keys:
            return example.id
    return None
