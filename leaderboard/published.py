"""Numbers that papers report: read from `published/*.toml`, shown apart, marked as reported, never part of a test.

One file a paper: `citation`, `url`, `read` (what of it was read), then `[[rows]]` with `method, task, metric, value,
table, split, model`. No entry without a source that was read.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rpobench.types import RpobenchError

FOLDER = Path(__file__).parent / "published"


class Row(BaseModel):
    """One number and where in the paper it stands.

    Attributes:
        method: The method, as the paper calls it.
        task: The task.
        metric: The metric.
        value: The number, in the metric's own unit.
        table: The table or section of the paper.
        split: The split that was scored.
        model: The base model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    task: str
    metric: str
    value: float
    table: str
    split: str
    model: str


class Paper(BaseModel):
    """One source.

    Attributes:
        citation: Authors, year and title, as tables name it.
        url: Where it is.
        read: What of it was read.
        rows: The numbers taken from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    citation: str
    url: str
    read: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Reported:
    """A number with its source."""

    row: Row
    paper: Paper


def read_published(folder: Path = FOLDER) -> list[Reported]:
    """Read every reported number.

    Args:
        folder: Where the TOML files are.

    Returns:
        The numbers, in the order of the files.

    Raises:
        RpobenchError: A file is not in order; the text names file and field.
    """
    numbers = []
    for file in sorted(folder.glob("*.toml")):
        try:
            paper = Paper.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as error:
            raise RpobenchError(f"{file}: no TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise RpobenchError(f"{file}: {field}: {first['msg']}") from error

        numbers += [Reported(row, paper) for row in paper.rows]
    return numbers
