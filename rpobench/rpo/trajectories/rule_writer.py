"""Writes trajectories by rules, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.rules import write_trajectory
from rpobench.rpo.trajectories.word_habits import Histories
from rpobench.types import ProfileItem, Usage


class TrajectoryWriter(Protocol):
    """Turns training rows into trajectories that end in their targets. `usage` is what that has cost so far."""

    usage: Usage

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        """One trajectory a row, in order, with all three parts."""
        ...


class Rules:
    """Measured facts, task by task; needs no model."""

    usage = Usage()

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        tasks = {row.task.name: row.task for row in rows}
        histories = {name: Histories(task, _by_user(rows, name)) for name, task in tasks.items()}
        return [
            write_trajectory(row.task, row.example, row.draft, row.evidence, row.target, histories[row.task.name])
            for row in rows
        ]


def _by_user(rows: Sequence[TrainingRow], task: str) -> list[list[ProfileItem]]:
    """The items that the rows of each user of a task show, each once."""
    found: dict[str, dict[str, ProfileItem]] = {}
    for row in rows:
        if row.task.name == task:
            found.setdefault(row.example.user_id, {}).update((item.id, item) for item in row.evidence)
    return [list(items.values()) for items in found.values()]
