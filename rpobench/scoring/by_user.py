"""What a result keeps of each example beside its score, and how readers turn it into sums by user.

Every official metric is a function of sums over examples (`Task.summands`, `Task.metrics_of`). So a result need not
keep a text to be drawn again: a few numbers an example are enough, and a draw of users is a product of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpobench.registry import get_task
from rpobench.task.contract import Task

Array = NDArray[Any]


@dataclass(frozen=True)
class ByUser:
    """A run's examples summed by user.

    `sums` is (users, summands), `scores` (users,) each user's mean score, both in the order of `users`.
    """

    task: Task
    users: tuple[str, ...]
    sums: Array
    scores: Array

    def metric(self, name: str) -> Any:
        """The function from (..., summands) to the values of this metric."""
        return lambda sums: self.task.metrics_of(sums)[name]


def by_user(result: Mapping[str, Any], *, only: set[str] | None = None) -> ByUser | None:
    """A stored result's examples (of these ids only) by user.

    None where measures cannot be read: schema 1 holds none, and those of another version of the task may mean other
    things. Raises RpobenchError for a task that is not installed.
    """
    if result.get("examples") is None:
        return None
    task = get_task(result["spec"]["task"].split("@")[0])
    if f"{task.name}@{task.version}" != result["spec"]["task"]:
        return None
    held = {key: one for key, one in result["examples"].items() if only is None or key in only}
    users = tuple(sorted({one["user"] for one in held.values()}))
    places = {user: place for place, user in enumerate(users)}
    owner = np.array([places[one["user"]] for one in held.values()])
    summands = task.summands(np.array([one["measures"] for one in held.values()], dtype=float))
    sums = np.zeros((len(users), summands.shape[1]))
    np.add.at(sums, owner, summands)
    scores = np.bincount(owner, [result["scores"][key] for key in held], minlength=len(users)) / np.bincount(owner)
    return ByUser(task, users, sums, scores)
