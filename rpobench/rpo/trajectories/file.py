"""The file of the trajectories that stage 1 learns from: one JSON line each, to be read, edited and used again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.rpo.form import Trajectory
from rpobench.rpo.trajectories.records import PARTS, trajectory_records

if TYPE_CHECKING:
    from rpobench.rpo.rows import TrainingRow


def store_trajectories(path: Path, pairs: Sequence[tuple[TrainingRow, Trajectory]]) -> None:
    """One JSON line a trajectory, as `read_trajectories` reads it, with a hash of the input it was written for."""
    lines = [
        json.dumps(
            {"task": row.task.name, "example": row.example.id, "input": _hash(row), "draft": row.draft}
            | asdict(trajectory)
        )
        for row, trajectory in pairs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    half.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    half.rename(path)


def read_trajectories(path: Path, rows: Sequence[TrainingRow]) -> list[Trajectory | None]:
    """Each row's trajectory in a file, None where it has none.

    They meet by task, id and, where the line has it, hash of the input: two versions of a world have the same ids.

    Raises:
        RpobenchError: a line is no trajectory; the error names it.
    """
    known = {(one["task"], one["example"]): one for one in trajectory_records(path)}
    found = [(row, known.get((row.task.name, row.example.id))) for row in rows]
    return [
        Trajectory(*(one[part] for part in PARTS)) if one and one.get("input", _hash(row)) == _hash(row) else None
        for row, one in found
    ]


def _hash(row: TrainingRow) -> str:
    return sha256(row.example.input.encode("utf-8", "surrogatepass")).hexdigest()[:16]
