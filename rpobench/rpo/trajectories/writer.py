"""The contract of those who write the trajectories that stage 1 learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.types import Usage


class TrajectoryWriter(Protocol):
    """Writes trajectories that end in the targets of their rows.

    Attributes:
        usage: What that has cost so far.
    """

    usage: Usage

    def write(self, rows: Sequence[TrainingRow]) -> Sequence[Trajectory | None]:
        """Write a trajectory for each row.

        Args:
            rows: The training rows of all tasks.

        Returns:
            One trajectory per row, in order, with all three parts; None for a row that is left out.
        """
        ...
