"""Who writes the trajectories that stage 1 learns: rules, a language model as teacher, or a file of earlier ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rpobench.registry import get_model
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.histories import Histories
from rpobench.rpo.prompts import Trajectory
from rpobench.rpo.questions import TrainingRow
from rpobench.rpo.trajectories import write_trajectory
from rpobench.rpo.trajectory_file import read_trajectories
from rpobench.types import ProfileItem, RpobenchError, Usage


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


class Stored:
    """Trajectories from a JSONL file as `store_trajectories` writes it, edited or not; rules where it has none."""

    usage = Usage()

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RpobenchError(
                f"trajectories={path}: no such file; a spec names one by its content, a fit by its path"
            )
        self._path = path

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        found = read_trajectories(self._path, rows)
        missing = sum(one is None for one in found)
        if missing == len(rows):
            raise RpobenchError(f"{self._path}: holds no trajectory of the training examples; is it of other data?")
        if missing:
            print(f"{self._path}: {missing} of {len(rows)} training examples are not in it; by rules", file=sys.stderr)
        return [one or rule for one, rule in zip(found, Rules().write(rows), strict=True)]


def get_writer(config: object, folder: Path, *, seed: int) -> TrajectoryWriter:
    """The writer that a config asks for: only RPO's has a choice. `folder` is where it may keep what it wrote."""
    if isinstance(config, RPOConfig) and config.trajectories:
        return Stored(Path(config.trajectories))
    if isinstance(config, RPOConfig) and config.has_teacher:
        from rpobench.rpo.teacher import Teacher

        return Teacher(get_model(config.teacher), folder, max_new_tokens=config.max_new_tokens, seed=seed)
    return Rules()
