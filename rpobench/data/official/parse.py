"""One official record: what it says, or every fault in it. The loader stops at the first, a check names all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from rpobench.data.official.json_stream import stream_records
from rpobench.task.contract import Task
from rpobench.task.metrics import rating
from rpobench.types import Example, ProfileItem, RpobenchError


def question(task: Task, record: Any, at: str) -> tuple[Example | None, list[str]]:
    """The example and no fault, or None and all faults in order, each starting with `at`, the name of file and record.

    A user id that is absent is empty.
    """
    if not isinstance(record, dict):
        return None, [f"{at}: expected an object with 'id', 'input' and 'profile'"]
    faults: list[str] = []
    key = _text(record, "id", at, faults)
    here = at if faults else f"{at}: id {key!r}"
    text = _text(record, "input", here, faults)
    user = "" if record.get("user_id") is None else _text(record, "user_id", here, faults)
    profile = record.get("profile")
    if not isinstance(profile, list):
        return None, [*faults, f"{here}: no list 'profile'"]
    items = tuple(_item(task, item, f"{here}: profile item {place}", faults) for place, item in enumerate(profile))
    example = Example(key, user, text, items)
    if not faults:
        try:
            task.check(example, here)
        except RpobenchError as error:
            faults.append(str(error))
    return (None if faults else example), faults


def gold(record: Any, at: str) -> tuple[tuple[str, str] | None, list[str]]:
    """(id, output) and no fault, or None and all faults; see `question`. A number as output is its text, 5.0 is 5."""
    if not isinstance(record, dict):
        return None, [f"{at}: expected an object with 'id' and 'output'"]
    faults: list[str] = []
    key = _text(record, "id", at, faults)
    here = at if faults else f"{at}: id {key!r}"
    output = record.get("output")
    if isinstance(output, float):
        output = int(output) if output.is_integer() else output  # a rating that some program wrote as 5.0
    else:
        output = _text(record, "output", here, faults)
    return (None if faults else (key, str(output))), faults


def id_of(record: Any) -> str | None:
    """The id of a record that may be faulty elsewhere; None where it has none."""
    faults: list[str] = []
    key = _text(record, "id", "", faults) if isinstance(record, dict) else ""
    return None if faults else key or None


def _item(task: Task, item: Any, at: str, faults: list[str]) -> ProfileItem:
    before = len(faults)
    if not isinstance(item, dict):
        faults.append(f"{at}: expected an object with {', '.join(map(repr, ('id', *task.fields)))}")
        item = dict.fromkeys(("id", *task.fields), "")
    fields = {name: _text(item, name, at, faults) for name in task.fields}
    if len(faults) == before and task.labels and task.answer_field:
        faults.extend(_answer_faults(task, fields[task.answer_field], at))
    return ProfileItem(_text(item, "id", at, faults), fields, _date(item.get("date"), at, faults))


def _answer_faults(task: Task, answer: str, at: str) -> Iterator[str]:
    """Why an item's label or rating is none. An empty text is left to pass: mails without a subject do exist."""
    if not answer.strip():
        yield f"{at}: {task.answer_field!r} is empty"
    elif task.kind == "rating" and rating(answer) is None:
        yield f"{at}: {task.answer_field!r} is {answer[:40]!r}, which is no number"


def _text(record: dict[str, Any], name: str, at: str, faults: list[str]) -> str:
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        faults.append(f"{at}: no text {name!r}")
        return ""
    try:
        value.encode()
    except UnicodeEncodeError as error:  # an escaped half of a surrogate pair: no tokenizer takes it
        faults.append(f"{at}: {name!r} holds a broken character at {error.start}, correct it")
    return value


def _date(value: Any, at: str, faults: list[str]) -> date | None:
    """`2014-11-13`, `2014-11` or `2014`; the first day of what is given, so ties keep the official order."""
    if value is None or value == "":
        return None
    parts = str(value)[:10].split("-")
    try:
        year, month, day = [*map(int, parts), *[1] * (3 - len(parts))]
        return date(year, month, day)
    except (ValueError, OverflowError):
        faults.append(f"{at}: {str(value)[:40]!r} is no date such as 2014-11-13 or 2014")
        return None


def each_question(task: Task, file: Path, *, seen: Callable[[bytes], object] = lambda piece: None) -> Iterator[Example]:
    """The questions of an official file one after another, with users as given or empty; `seen` as in `stream_records`.

    Raises RpobenchError that names file and record for the first fault, an id that stands twice, and an empty file.
    """
    known: set[str] = set()
    for place, record in enumerate(stream_records(file, seen=seen)):
        example = read_example(task, record, f"{file}: record {place}")
        if example.id in known:
            raise RpobenchError(f"{file}: record {place}: id {example.id!r} stands twice, keep one")
        known.add(example.id)
        yield example
    if not known:
        raise RpobenchError(f"{file}: holds no question")


def read_example(task: Task, record: Any, at: str) -> Example:
    """One official question. Raises RpobenchError that starts with `at`, the name of file and record."""
    example, faults = question(task, record, at)
    if example is None:
        raise RpobenchError(faults[0])
    return example
