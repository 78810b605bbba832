"""Who writes the trajectories that stage 1 learns: rules, a language model as teacher, or a file of earlier ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rpobench.registry import get_model
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.file import find_trajectories
from rpobench.rpo.trajectories.rule_writer import Rules, TrajectoryWriter
from rpobench.types import RpobenchError, Usage


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
        found = find_trajectories(self._path, rows)
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
        from rpobench.rpo.trajectories.teacher import Teacher

        return Teacher(get_model(config.teacher), folder, max_new_tokens=config.max_new_tokens, seed=seed)
    return Rules()
