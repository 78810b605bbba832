"""Training trajectories as records for readers."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from rpobench.rpo.form import Trajectory
from rpobench.types import RpobenchError

TRAJECTORIES = "trajectories.jsonl"  # its name beside a trained adapter

PARTS = tuple(part.name for part in fields(Trajectory))  # shows, lacks, rewrite


def trajectory_records(path: Path) -> list[dict[str, str]]:
    """The lines of a file, at least one: task, example, the three parts, and draft and hash of the input where told.

    Raises:
        RpobenchError: a line is no trajectory; the error names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{path}: is no text in UTF-8 ({error}): give a JSONL file of trajectories") from error
    found = [_record(line, f"{path}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not found:
        raise RpobenchError(f"{path}: holds no trajectory")
    return found


def _record(line: str, place: str) -> dict[str, str]:
    try:
        one = json.loads(line)
        texts = [*(one[name] for name in ("task", "example", *PARTS)), one.get("draft", ""), one.get("input", "")]
        whole = all(isinstance(text, str) for text in texts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise RpobenchError(f"{place}: must be a JSON object with the texts task, example, {', '.join(PARTS)}")
    return dict(one)
