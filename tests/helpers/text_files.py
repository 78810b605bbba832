"""Reads files of lines that a run may not have written yet, and changes JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_lines(file: Path) -> list[str]:
    """Return the lines of a file, none where it does not exist."""
    return file.read_text().splitlines() if file.exists() else []


def read_training_log(adapter: Path) -> list[dict[str, Any]]:
    """Return the entries of a training stage's log."""
    return [json.loads(line) for line in (adapter / "log.jsonl").read_text().splitlines()]


def change_json(file: Path, **fields: object) -> None:
    """Set fields of the JSON object in a file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
