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
    nobody knows. `users` says whether user ids were given or inferred.
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
        for one in self.labelled:
            example = one.example
            profile = [
                [item.id, sorted(item.fields.items()), item.date.isoformat() if item.date else None]
                for item in example.profile
            ]
            record = [example.id, example.user_id, example.input, profile, one.target]
            digest.update(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def shared_example(one: DataSet, other: DataSet) -> str | None:
    """The id of an example that stands in both with the same input; None where they share none."""
    held = {(labelled.example.id, labelled.example.input) for labelled in one.labelled}
    asked = (labelled.example for labelled in other.labelled)
    return next((example.id for example in asked if (example.id, example.input) in held), None)
