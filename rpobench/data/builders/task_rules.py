"""The rules by which a source becomes the data of a task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rpobench.data.builders.people import hash_name


@dataclass(frozen=True)
class TaskRules:
    """Who counts, and how questions are made.

    Attributes:
        prefix: What ids begin with, such as `git-log`.
        salt: Is hashed with every name.
        least: The fewest writings of a person who counts; a question has one less before it.
        profile_items: The most items of a profile; the latest ones stay.
        since: The first day of a question of dev and test; None for any.
        removed: Hashed names of people who are left out.
    """

    prefix: str
    salt: str
    least: int
    profile_items: int
    since: date | None = None
    removed: frozenset[str] = frozenset()

    def hash_key(self, key: str) -> str:
        """Return the id of a writing."""
        return hash_name(self.prefix, f"{self.salt}\0writing", key)

    def first_day(self, split: str) -> date | None:
        """Return the first day of a split's questions; train has them of any day, since nothing is scored there."""
        return None if split == "train" else self.since
