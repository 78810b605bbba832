"""Takes the trajectories of an earlier training, as its file holds them, edited or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.file import find_trajectories
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.types import RpobenchError, Usage


class FileWriter:
    """Reads trajectories from a JSONL file as `store_trajectories` writes it. Rules write those that it lacks."""

    usage = Usage()

    def __init__(self, file: Path) -> None:
        """Find the file.

        Args:
            file: The JSONL file.

        Raises:
            RpobenchError: It does not exist.
        """
        if not file.is_file():
            raise RpobenchError(
                f"trajectories={file}: no such file; a spec names one by its content, a fit by its path"
            )

        self._file = file

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        stored = find_trajectories(self._file, rows)

        missing_count = sum(trajectory is None for trajectory in stored)
        if missing_count == len(rows):
            raise RpobenchError(f"{self._file}: holds no trajectory of the training examples; is it of other data?")
        if missing_count:
            print(
                f"{self._file}: {missing_count} of {len(rows)} training examples are not in it; by rules",
                file=sys.stderr,
            )

        by_rules = RuleWriter().write(rows)
        return [trajectory or by_rules[index] for index, trajectory in enumerate(stored)]
