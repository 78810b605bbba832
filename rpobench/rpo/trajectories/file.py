"""The file of the trajectories that stage 1 learns from: one JSON line each, to be read, edited and used again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.types import Example, RpobenchError

TRAJECTORIES = "trajectories.jsonl"  # its name beside a trained adapter
PARTS = tuple(field.name for field in fields(Trajectory))  # shows, lacks, rewrite


@dataclass(frozen=True)
class StoredTrajectory:
    """One line of the file.

    Attributes:
        task_name: The task of the example.
        example_id: The id of the example.
        trajectory: What the module learns to write for it.
        input_hash: The hash of the input it was written for; None where the line does not say.
        draft: The draft it was written for; None where the line does not say.
    """

    task_name: str
    example_id: str
    trajectory: Trajectory
    input_hash: str | None = None
    draft: str | None = None

    def belongs_to(self, example: Example) -> bool:
        """Tell whether it was written for this input: two versions of a world have the same ids."""
        return self.input_hash is None or self.input_hash == hash_input(example)

    def as_record(self) -> dict[str, str]:
        """Write the JSON object that stands in the line."""
        record = {"task": self.task_name, "example": self.example_id}
        if self.input_hash is not None:
            record["input"] = self.input_hash
        if self.draft is not None:
            record["draft"] = self.draft

        return record | asdict(self.trajectory)


def store_trajectories(file: Path, demonstrations: Sequence[Demonstration]) -> None:
    """Write the file, whole or not at all.

    Args:
        file: Where it goes.
        demonstrations: The training rows with their trajectories, one line each.
    """
    lines = []
    for demonstration in demonstrations:
        row = demonstration.row
        stored = StoredTrajectory(
            row.task.name, row.example.id, demonstration.trajectory, hash_input(row.example), row.draft
        )
        lines.append(json.dumps(stored.as_record()))

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    unfinished.rename(file)


def find_trajectories(file: Path, rows: Sequence[TrainingRow]) -> list[Trajectory | None]:
    """Find each row's trajectory in a file: by task, by id and, where the line has it, by the hash of the input.

    Args:
        file: A file as `store_trajectories` writes it, edited or not.
        rows: The training rows.

    Returns:
        One trajectory per row, in order; None where the file has none.

    Raises:
        RpobenchError: A line is no trajectory.
    """
    stored_by_example = {(stored.task_name, stored.example_id): stored for stored in read_trajectories(file)}

    trajectories = []
    for row in rows:
        stored = stored_by_example.get((row.task.name, row.example.id))
        trajectories.append(stored.trajectory if stored and stored.belongs_to(row.example) else None)
    return trajectories


def read_trajectories(file: Path) -> list[StoredTrajectory]:
    """Read all lines of a file.

    Args:
        file: A file as `store_trajectories` writes it, edited or not.

    Returns:
        At least one trajectory, in the order of the lines.

    Raises:
        RpobenchError: A line is no trajectory (the error names it), or there is none.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{file}: is no text in UTF-8 ({error}): give a JSONL file of trajectories") from error

    trajectories = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            trajectories.append(_parse_line(line, f"{file}:{number}"))

    if not trajectories:
        raise RpobenchError(f"{file}: holds no trajectory")
    return trajectories


def _parse_line(line: str, location: str) -> StoredTrajectory:
    """Read one line; `location` names it in the error where it is no trajectory."""
    error_message = f"{location}: must be a JSON object with the texts task, example, {', '.join(PARTS)}"
    try:
        record = json.loads(line)
        required_texts = [record[name] for name in ("task", "example", *PARTS)]
        optional_texts = {name: record[name] for name in ("input", "draft") if name in record}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RpobenchError(error_message) from error

    if not all(isinstance(text, str) for text in (*required_texts, *optional_texts.values())):
        raise RpobenchError(error_message)

    task_name, example_id, *parts = required_texts
    return StoredTrajectory(
        task_name,
        example_id,
        Trajectory(*parts),
        input_hash=optional_texts.get("input"),
        draft=optional_texts.get("draft"),
    )


def hash_input(example: Example) -> str:
    """Hash the input of an example: 16 hex digits."""
    return sha256(example.input.encode("utf-8", "surrogatepass")).hexdigest()[:16]
