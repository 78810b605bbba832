"""Sums by user, from the numbers that a result keeps of each example.

Every official metric is a function of sums over examples: `Task.summands` turns what was measured of an example into
numbers to add up, and `Task.metrics_of` turns the sums into metrics. So the bootstrap over users needs no text: a few
numbers an example are enough, and a draw of users is a product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpobench.registry import get_task
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task

Array = NDArray[Any]


@dataclass(frozen=True)
class SumsByUser:
    """A run's examples summed by user.

    Attributes:
        task: The task, which turns sums into metrics.
        users: The users, sorted.
        sums: What the metrics are made of, summed over each user's examples: (users, summands).
        scores: Each user's mean score: (users,).
        counts: Each user's number of examples: (users,).
    """

    task: Task
    users: tuple[str, ...]
    sums: Array
    scores: Array
    counts: Array

    def metric(self, name: str) -> Callable[[Array], Any]:
        """Return the function from sums, shape (..., summands), to the values of this metric, shape (...)."""
        return lambda sums: self.task.metrics_of(sums)[name]


def sum_by_user(run: StoredRun, *, only: Collection[str] | None = None) -> SumsByUser | None:
    """Sum a stored run's examples by user.

    Args:
        run: The run.
        only: Ids of the examples that count; all of them by default.

    Returns:
        The sums. None where the run keeps no measures that can be read: schema 1 has none, and those of another
        version of the task may mean other things.

    Raises:
        RpobenchError: The task is not installed.
    """
    if run.result.examples is None:
        return None
    task = get_task(run.task_name)
    if task.versioned != run.spec.task:
        return None

    examples = dict(run.result.examples)
    if only is not None:
        examples = {example_id: example for example_id, example in examples.items() if example_id in only}

    users = tuple(sorted({example.user for example in examples.values()}))
    index_by_user = {user: index for index, user in enumerate(users)}
    user_indices = np.array([index_by_user[example.user] for example in examples.values()])

    summands = task.summands(np.array([example.measures for example in examples.values()], dtype=float))
    sums = np.zeros((len(users), summands.shape[1]))
    np.add.at(sums, user_indices, summands)

    scores = [run.result.scores[example_id] for example_id in examples]
    score_sums = np.bincount(user_indices, scores, minlength=len(users))
    counts = np.bincount(user_indices)
    return SumsByUser(task, users, sums, score_sums / counts, counts)
