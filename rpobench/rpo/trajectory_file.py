"""The file of the trajectories that stage 1 learns from: one JSON line each, to be read, edited and used again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.rpo.prompts import Trajectory
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.rpo.questions import TrainingRow

TRAJECTORIES = "trajectories.jsonl"  # its name beside a trained adapter
PARTS = tuple(part.name for part in fields(Trajectory))  # shows, lacks, rewrite


def store_trajectories(path: Path, pairs: Sequence[tuple[TrainingRow, Trajectory]]) -> None:
    """One JSON line a trajectory, as `read_trajectories` reads it."""
    lines = [
        json.dumps({"task": row.task.name, "example": row.example.id, "draft": row.draft, **asdict(trajectory)})
        for row, trajectory in pairs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    half.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    half.rename(path)


def read_trajectories(path: Path) -> dict[tuple[str, str], Trajectory]:
    """The trajectories of a file by task and example id.

    Raises:
        RpobenchError: a line is no trajectory; the error names it.
    """
    return {
        (one["task"], one["example"]): Trajectory(*(one[part] for part in PARTS)) for one in trajectory_records(path)
    }


def trajectory_records(path: Path) -> list[dict[str, str]]:
    """The lines of a file: task, example, the three parts, and the draft where the file tells it.

    Raises:
        RpobenchError: as `read_trajectories`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{path}: is no text in UTF-8 ({error}): give a JSONL file of trajectories") from error
    return [_record(line, f"{path}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _record(line: str, place: str) -> dict[str, str]:
    try:
        one = json.loads(line)
        whole = all(isinstance(one[name], str) for name in ("task", "example", *PARTS))
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise RpobenchError(f"{place}: must be a JSON object with the texts task, example, {', '.join(PARTS)}")
    return dict(one)
