"""The forms that predictions come in: the official file, a plain object `{id: text}`, and a record a line (JSONL)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpobench.data.official.golds import parse_json, read_json
from rpobench.types import RpobenchError

RECORD_FIELDS = ("id", "output")
LINE_SUFFIXES = (".jsonl", ".ndjson")


def read_answer_file(file: Path) -> Any:
    """Read a file of answers in any of the forms.

    Args:
        file: A JSON file, or one with a JSON record on every line.

    Returns:
        The parsed content in the official form, or a list of records.

    Raises:
        RpobenchError: The file is absent or broken, or an id of `{id: text}` stands twice.
    """
    if file.suffix.lower() in LINE_SUFFIXES:
        return _read_lines(file)

    try:
        content = read_json(file)
    except RpobenchError:
        if not _begins_with_a_record(file):
            raise
        return _read_lines(file)

    if _is_plain_object(content):
        _refuse_repeated_ids(file)
    return list_records(content)


def list_records(content: Any) -> Any:
    """Turn `{id: text}` and a single record into a list of records; other content stays as it is."""
    if _is_plain_object(content):
        return [{"id": example_id, "output": output} for example_id, output in content.items()]

    return [content] if _is_record(content) else content


def _is_record(content: Any) -> bool:
    return isinstance(content, Mapping) and all(field in content for field in RECORD_FIELDS)


def _is_plain_object(content: Any) -> bool:
    """Whether content is `{id: text}`: an object that is neither an official file nor a record."""
    if not isinstance(content, Mapping) or not content or _is_record(content):
        return False

    return "task" not in content and "golds" not in content


def _begins_with_a_record(file: Path) -> bool:
    """Whether the first line alone is an object, so that the file is one of lines whatever it is called."""
    with file.open("rb") as lines:
        first_line = next((line for line in lines if line.strip()), b"")

    try:
        return isinstance(json.loads(first_line), dict)
    except (ValueError, RecursionError):
        return False


def _read_lines(file: Path) -> list[Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error

    records = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            records.append(parse_json(line, f"{file}: line {number}"))
    return records


def _refuse_repeated_ids(file: Path) -> None:
    """Refuse an id that stands twice in `{id: text}`, of which a parser keeps the last without a word."""

    def check_pairs(pairs: list[tuple[str, Any]]) -> None:
        ids: set[str] = set()
        for example_id, _ in pairs:
            if example_id in ids:
                raise RpobenchError(f"{file}: id {example_id!r} stands twice, keep one")
            ids.add(example_id)

    json.loads(file.read_bytes().decode("utf-8-sig"), object_pairs_hook=check_pairs)
