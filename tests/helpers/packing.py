"""`rpobench pack` as tests call it, and stored JSON that they change before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from rpobench.cli.main import app


def pack(*arguments: object) -> Any:
    """Run `rpobench pack` and return what `CliRunner` does."""
    return CliRunner().invoke(app, ["pack", *map(str, arguments)])


def change_json(file: Path, **values: Any) -> None:
    """Give some keys of a JSON object in a file other values."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
