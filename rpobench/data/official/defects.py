"""Finds every defect of an official folder, with file and record: errors that stop a run, warnings that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from rpobench.data.official.folder import list_splits, locate_split
from rpobench.data.official.golds import check_targets, list_gold_records, read_json
from rpobench.data.official.json_stream import stream_records
from rpobench.data.official.records import parse_gold, parse_id, parse_question
from rpobench.task.contract import Task
from rpobench.task.metrics import warn_of_unseen
from rpobench.types import Example, ProfileItem, RpobenchError

MANY_LABELS = 5  # more are not spelled out in a defect
Level = Literal["error", "warning"]
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault of a file.

    Attributes:
        level: An "error" stops a run, a "warning" does not.
        file: The file's path.
        record: The position of the record in the file, from 0; None where the whole file is meant.
        what: What is wrong, in a few words.
    """

    level: Level
    file: str
    record: int | None
    what: str

    def __str__(self) -> str:
        location = "" if self.record is None else f"record {self.record}: "
        return f"{self.level}: {self.file}: {location}{self.what}"


def find_defects(folder: Path, tasks: Sequence[Task]) -> list[Defect]:
    """Find the defects of every split of these tasks that a folder holds, and outputs without questions.

    Args:
        folder: The official folder.
        tasks: The tasks to look at.

    Returns:
        The defects, file by file.

    Raises:
        MissingData: The folder holds no split of these tasks.
    """
    defects: list[Defect] = []
    for task, split in list_splits(tasks, folder):
        defects += _find_split_defects(task, folder, split)

    for outputs_file in sorted(folder.rglob("*_outputs.json")):
        questions_name = outputs_file.name.replace("_outputs", "_questions")
        if not outputs_file.with_name(questions_name).exists():
            defects.append(Defect("error", str(outputs_file), None, f"has no {questions_name} beside it"))
    return defects


def _find_split_defects(task: Task, folder: Path, split: str) -> list[Defect]:
    """Find the defects of one split, question by question, since their file may be larger than the memory."""
    questions_file, outputs_file = locate_split(task, folder, split)
    questions, outputs = _FileReport(str(questions_file)), _FileReport(str(outputs_file))
    golds = dict(_read_golds(task, outputs_file, outputs)) if outputs_file.exists() else {}

    coverage = _Coverage()
    examples = questions.parse_each(
        lambda: stream_records(questions_file), lambda record: parse_question(task, record, "")
    )
    for position, example in examples:
        coverage.add(example)
        for warning in _list_question_warnings(task, example):
            questions.add("warning", position, f"id {example.id!r}: {warning}")

        leaking_item = _find_leak(task, example, golds[example.id]) if example.id in golds else None
        if leaking_item:
            warning = f"the user's own profile holds this answer (item {leaking_item.id!r})"
            outputs.add("warning", outputs.positions[example.id], f"id {example.id!r}: {warning}")

    for warning in coverage.warnings():
        questions.add("warning", None, warning)

    if not outputs_file.exists():
        if split != "test":  # LaMP withholds the targets of test
            questions.defects.append(
                Defect("error", str(outputs_file), None, "absent: nothing is scored without targets")
            )
        return questions.defects

    questions.add_unpaired(outputs)
    outputs.add_unpaired(questions)
    return [*questions.defects, *outputs.defects]


def _read_golds(task: Task, outputs_file: Path, outputs: _FileReport) -> Iterator[tuple[str, str]]:
    """Yield the targets that could be read, with their ids."""
    golds = outputs.parse_each(
        lambda: list_gold_records(read_json(outputs_file), task.name, str(outputs_file)),
        lambda record: parse_gold(record, ""),
    )

    texts = []
    for position, (example_id, output) in golds:
        target = task.canonical(output)
        texts.append(target)
        for level, message in _check_target(task, target):
            outputs.add(level, position, f"id {example_id!r}: {message}")
        yield example_id, target

    unseen_warning = None if task.labels else warn_of_unseen("targets", texts)
    if unseen_warning:
        outputs.add("warning", None, unseen_warning)


class _FileReport:
    """The ids and defects of one file.

    Attributes:
        name: The file's path.
        lacks_ids: Whether an id could not be read, so that a record that seems absent may be there.
        defects: What was found so far.
        positions: The position in the file by id, of all records that have one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lacks_ids = False
        self.defects: list[Defect] = []
        self.positions: dict[str, int] = {}

    def add(self, level: Level, position: int | None, message: str) -> None:
        """Add a defect of this file."""
        self.defects.append(Defect(level, self.name, position, message))

    def parse_each(
        self, list_records: Callable[[], Iterable[Any]], parse: Callable[[Any], tuple[Parsed | None, list[str]]]
    ) -> Iterator[tuple[int, Parsed]]:
        """Yield what can be parsed, with its position in the file; all faults of the rest become errors."""
        position = -1
        try:
            for position, record in enumerate(list_records()):
                self._note_id(position, parse_id(record))

                parsed, faults = parse(record)
                for fault in faults:
                    self.add("error", position, fault.removeprefix(": "))
                if parsed is not None:
                    yield position, parsed
        except RpobenchError as error:
            self.lacks_ids = True
            self.add("error", None, str(error).removeprefix(f"{self.name}: "))
        else:
            if position < 0:
                self.add("error", None, "holds no record")

    def _note_id(self, position: int, example_id: str | None) -> None:
        if example_id is None:
            self.lacks_ids = True
            return

        first_position = self.positions.setdefault(example_id, position)
        if first_position != position:
            self.add("error", position, f"id {example_id!r} stands twice, first in record {first_position}")

    def add_unpaired(self, other: _FileReport) -> None:
        """Add the records that have no partner in the other file, as far as that can be known."""
        if other.lacks_ids:
            return

        unpaired_ids = self.positions.keys() - other.positions.keys()
        for example_id in sorted(unpaired_ids, key=self.positions.__getitem__):
            message = f"id {example_id!r}: has no partner in {Path(other.name).name}"
            self.add("error", self.positions[example_id], message)


def _list_question_warnings(task: Task, example: Example) -> Iterator[str]:
    """Say what is odd in one question but stops nothing."""
    if not example.profile:
        yield "the profile is empty"

    if not example.input.startswith(task.instruction):
        yield f"malformed input: does not begin with {task.instruction[:40]!r}"
    elif not task.content(example):
        yield "malformed input: nothing follows the official words"

    id_counts = Counter(item.id for item in example.profile)
    repeated_ids = [item_id for item_id, count in id_counts.items() if count > 1]
    if repeated_ids:
        yield f"profile item {repeated_ids[0]!r} stands twice ({len(repeated_ids)} such)"

    if any(not any(text.strip() for text in item.fields.values()) for item in example.profile):
        yield "a profile item holds no text"
    elif task.answer_field and not all(item.fields[task.answer_field].strip() for item in example.profile):
        yield f"a profile item has no {task.answer_field!r}"


@dataclass
class _Coverage:
    """Counts user ids and dates: where only some questions or items have one, it can be used for none."""

    examples: int = 0
    examples_with_user: int = 0
    items: int = 0
    items_with_date: int = 0

    def add(self, example: Example) -> None:
        """Count one more example."""
        self.examples += 1
        self.examples_with_user += bool(example.user_id)
        self.items += len(example.profile)
        self.items_with_date += sum(item.date is not None for item in example.profile)

    def warnings(self) -> Iterator[str]:
        """Yield a warning for user ids and for dates where some have them and others do not."""
        if 0 < self.examples_with_user < self.examples:
            share = f"{self.examples_with_user} of {self.examples}"
            yield f"{share} questions have a user_id: without all of them users are inferred"

        if 0 < self.items_with_date < self.items:
            share = f"{self.items_with_date} of {self.items}"
            yield f"{share} profile items have a date: without all of them there is no recency"


def _check_target(task: Task, target: str) -> Iterator[tuple[Level, str]]:
    """Say what is wrong or odd with one target."""
    try:
        check_targets(task, {"": target}, "")
    except RpobenchError:
        wanted = f": wanted is one of {', '.join(task.labels)}" if len(task.labels) <= MANY_LABELS else ""
        yield "error", f"unknown label {target[:40]!r}{wanted}"
    else:
        if not target.strip():
            yield "warning", "the target is empty"


def _find_leak(task: Task, example: Example, target: str) -> ProfileItem | None:
    """Return the first profile item that tells the answer: a text equal to the target, or the very input."""
    if not task.answer_field:
        return None

    content = task.content(example)
    for item in example.profile:
        has_target = item.fields[task.answer_field].strip() == target.strip() != ""
        has_input = item.fields[task.cut_field].strip() == content != ""
        if (has_target and not task.labels) or has_input:
            return item
    return None
