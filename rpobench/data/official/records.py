"""Parses one official record: into an example or a gold, or into every fault that it has.

The loader stops at the first fault; `rpobench data check` names all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from rpobench.data.official.json_stream import ignore_piece, stream_records
from rpobench.data.official.numbers import number_text, whole_number_text
from rpobench.task.contract import Task
from rpobench.task.metrics import read_rating
from rpobench.types import Example, ProfileItem, RpobenchError


def parse_question(task: Task, record: Any, location: str) -> tuple[Example | None, list[str]]:
    """Parse one official question.

    Args:
        task: The task that the question is of.
        record: The parsed JSON, which may be anything.
        location: Names file and record; every fault starts with it.

    Returns:
        The example and no fault, or None and all faults in order. A user id that is absent is empty.
    """
    if not isinstance(record, dict):
        return None, [f"{location}: expected an object with 'id', 'input' and 'profile'"]

    faults: list[str] = []
    example_id = _read_id(record, "id", location, faults)
    question_location = location if faults else f"{location}: id {example_id!r}"
    input_text = _read_text(record, "input", question_location, faults)
    user_id = "" if record.get("user_id") is None else _read_id(record, "user_id", question_location, faults)

    profile = record.get("profile")
    if not isinstance(profile, list):
        return None, [*faults, f"{question_location}: no list 'profile'"]

    items = tuple(
        _parse_item(task, item_record, f"{question_location}: profile item {position}", faults)
        for position, item_record in enumerate(profile)
    )

    example = Example(example_id, user_id, input_text, items)
    if not faults:
        try:
            task.check_example(example, question_location)
        except RpobenchError as error:
            faults.append(str(error))
    return (None if faults else example), faults


def parse_gold(record: Any, location: str) -> tuple[tuple[str, str] | None, list[str]]:
    """Parse one record of an outputs file.

    Args:
        record: The parsed JSON, which may be anything.
        location: Names file and record; every fault starts with it.

    Returns:
        (id, output) and no fault, or None and all faults. A number as output becomes its text, 5.0 becomes 5.
    """
    if not isinstance(record, dict):
        return None, [f"{location}: expected an object with 'id' and 'output'"]

    faults: list[str] = []
    example_id = _read_id(record, "id", location, faults)
    gold_location = location if faults else f"{location}: id {example_id!r}"

    output = record.get("output")
    if isinstance(output, float) and not math.isfinite(output):
        output = str(output)  # a prediction that the official scorer takes for no number
    else:
        output = _read_text(record, "output", gold_location, faults, takes_fractions=True)
    return (None if faults else (example_id, output)), faults


def parse_id(record: Any) -> str | None:
    """Return the id of a record that may be faulty elsewhere, or None where it has none."""
    if not isinstance(record, dict):
        return None

    faults: list[str] = []
    example_id = _read_id(record, "id", "", faults)
    return None if faults else example_id or None


def _parse_item(task: Task, record: Any, location: str, faults: list[str]) -> ProfileItem:
    """Parse one profile item; its faults are appended to `faults`."""
    fault_count = len(faults)
    if not isinstance(record, dict):
        faults.append(f"{location}: expected an object with {', '.join(map(repr, ('id', *task.fields)))}")
        record = dict.fromkeys(("id", *task.fields), "")

    fields = {}
    for name in task.fields:
        is_rating = task.kind == "rating" and name == task.answer_field
        fields[name] = _read_text(record, name, location, faults, takes_fractions=is_rating)
    if len(faults) == fault_count and task.labels and task.answer_field:
        fields[task.answer_field] = task.canonical(fields[task.answer_field])
        faults.extend(_answer_faults(task, fields[task.answer_field], location))

    item_id = _read_id(record, "id", location, faults)
    return ProfileItem(item_id, fields, _parse_date(record.get("date"), location, faults))


def _answer_faults(task: Task, answer: str, location: str) -> Iterator[str]:
    """Say why an item's label or rating cannot be used. A text may be empty: mails without a subject do exist."""
    if not answer.strip():
        yield f"{location}: {task.answer_field!r} is empty"
    elif task.kind == "rating" and read_rating(answer) is None:
        yield f"{location}: {task.answer_field!r} is {answer[:40]!r}, which is no number: a rating such as 4 is wanted"


def _read_id(record: dict[str, Any], name: str, location: str, faults: list[str]) -> str:
    """Return an id, which is the same as a number and as a text; "" and a fault where there is none."""
    return whole_number_text(_read_text(record, name, location, faults))


def _read_text(
    record: dict[str, Any], name: str, location: str, faults: list[str], *, takes_fractions: bool = False
) -> str:
    """Return a field's text, or its number as text; "" and a fault where it has no text."""
    value = record.get(name)
    number = number_text(value)
    if number is not None and (takes_fractions or number.lstrip("-").isdecimal()):
        return number

    if value is None:
        faults.append(f"{location}: no text {name!r}")
        return ""
    if not isinstance(value, str):
        wanted = "a text or a number" if takes_fractions else "a text or a whole number"
        faults.append(f"{location}: no text {name!r} but {json.dumps(value)[:40]}: {wanted} is wanted")
        return ""

    try:
        value.encode()
    except UnicodeEncodeError as error:  # an escaped half of a surrogate pair: no tokenizer takes it
        faults.append(f"{location}: {name!r} holds a broken character at {error.start}, correct it")
    return value


def _parse_date(value: Any, location: str, faults: list[str]) -> date | None:
    """Parse `2014-11-13`, `2014-11` or `2014`: the first day of a month or year, so ties keep the official order."""
    if value is None or value == "":
        return None

    numbers = str(value)[:10].split("-")
    try:
        year, month, day = [*map(int, numbers), *[1] * (3 - len(numbers))]
        return date(year, month, day)
    except (ValueError, OverflowError):
        faults.append(f"{location}: {str(value)[:40]!r} is no date such as 2014-11-13 or 2014")
        return None


def stream_questions(
    task: Task, file: Path, *, on_piece: Callable[[bytes], object] = ignore_piece
) -> Iterator[Example]:
    """Yield the questions of an official file one after another, so that the file may be larger than the memory.

    Args:
        task: The task that the questions are of.
        file: The official questions file.
        on_piece: Called with every piece of the file, as in `stream_records`.

    Yields:
        The examples in file order. A user id that is absent is empty.

    Raises:
        RpobenchError: Names file and record of the first fault, of an id that stands twice, or an empty file.
    """
    example_ids: set[str] = set()
    for position, record in enumerate(stream_records(file, on_piece=on_piece)):
        example = read_example(task, record, f"{file}: record {position}")
        if example.id in example_ids:
            raise RpobenchError(f"{file}: record {position}: id {example.id!r} stands twice, keep one")

        example_ids.add(example.id)
        yield example

    if not example_ids:
        raise RpobenchError(f"{file}: holds no question")


def read_example(task: Task, record: Any, location: str) -> Example:
    """Parse one official question, and refuse it at its first fault.

    Args:
        task: The task that the question is of.
        record: The parsed JSON.
        location: Names file and record.

    Returns:
        The example.

    Raises:
        RpobenchError: The first fault; it starts with `location`.
    """
    example, faults = parse_question(task, record, location)

    if example is None:
        raise RpobenchError(faults[0])
    return example
