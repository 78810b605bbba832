"""Every defect of an official folder, with file and record: errors that stop a run, warnings that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from rpobench.data.official.folder import held_splits, split_files
from rpobench.data.official.golds import check_targets, gold_records, read_json
from rpobench.data.official.json_stream import stream_records
from rpobench.data.official.parse import gold, id_of, question
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem, RpobenchError

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault. `record` is its place in the file, None where the whole file is meant."""

    level: Literal["error", "warning"]
    file: str
    record: int | None
    what: str

    def __str__(self) -> str:
        place = "" if self.record is None else f"record {self.record}: "
        return f"{self.level}: {self.file}: {place}{self.what}"


def check(folder: Path, tasks: Sequence[Task]) -> list[Defect]:
    """The defects of every split of these tasks that the folder holds, file by file, and of outputs without questions.

    Raises MissingData where it holds none of them.
    """
    found = [defect for task, split in held_splits(tasks, folder) for defect in _split_defects(task, folder, split)]
    for outputs in sorted(folder.rglob("*_outputs.json")):
        questions = outputs.name.replace("_outputs", "_questions")
        if not outputs.with_name(questions).exists():
            found.append(Defect("error", str(outputs), None, f"has no {questions} beside it"))
    return found


def _split_defects(task: Task, folder: Path, split: str) -> list[Defect]:
    """One split's. Questions are looked at one after another, since a file of them may be larger than the memory."""
    questions, outputs = split_files(task, folder, split)
    asked, answered = _File(str(questions)), _File(str(outputs))
    golds = dict(_golds(task, outputs, answered)) if outputs.exists() else {}
    common = _Common()
    for place, example in asked.each(lambda: stream_records(questions), lambda record: question(task, record, "")):
        common.count(example)
        for what in _doubts(task, example):
            asked.add("warning", place, f"id {example.id!r}: {what}")
        if example.id in golds and (item := _told(task, example, golds[example.id])):
            what = f"the user's own profile holds this answer (item {item.id!r})"
            answered.add("warning", answered.places[example.id], f"id {example.id!r}: {what}")
    for what in common.doubts():
        asked.add("warning", None, what)
    if not outputs.exists():
        if split != "test":  # LaMP withholds the targets of test
            asked.defects.append(Defect("error", str(outputs), None, "absent: nothing is scored without targets"))
        return asked.defects
    for one, other in ((asked, answered), (answered, asked)):
        one.add_single(other)
    return [*asked.defects, *answered.defects]


def _golds(task: Task, outputs: Path, answered: _File) -> Iterator[tuple[str, str]]:
    """The targets that could be read, by id."""
    records = answered.each(
        lambda: gold_records(read_json(outputs), task.name, str(outputs)), lambda record: gold(record, "")
    )
    for place, (key, target) in records:
        for level, what in _target_doubts(task, target):
            answered.add(level, place, f"id {key!r}: {what}")
        yield key, target


class _File:
    """One file's records and defects. `nameless`: not every id could be read, so what seems absent may be there."""

    def __init__(self, name: str) -> None:
        self.name, self.nameless = name, False
        self.defects: list[Defect] = []
        self.places: dict[str, int] = {}  # by id, of all records that have one

    def add(self, level: Literal["error", "warning"], place: int | None, what: str) -> None:
        self.defects.append(Defect(level, self.name, place, what))

    def each(
        self, records: Callable[[], Iterable[Any]], reader: Callable[[Any], tuple[Read | None, list[str]]]
    ) -> Iterator[tuple[int, Read]]:
        """What can be read, with its place; all faults of the rest become errors."""
        place = -1
        try:
            for place, record in enumerate(records()):
                self._name(place, id_of(record))
                one, faults = reader(record)
                for fault in faults:
                    self.add("error", place, fault.removeprefix(": "))
                if one is not None:
                    yield place, one
        except RpobenchError as error:
            self.nameless = True
            self.add("error", None, str(error).removeprefix(f"{self.name}: "))
        else:
            if place < 0:
                self.add("error", None, "holds no record")

    def _name(self, place: int, key: str | None) -> None:
        if key is None:
            self.nameless = True
        elif self.places.setdefault(key, place) != place:
            self.add("error", place, f"id {key!r} stands twice, first in record {self.places[key]}")

    def add_single(self, other: _File) -> None:
        """Records without a partner in the other file, as far as that can be known."""
        if not other.nameless:
            for key in sorted(self.places.keys() - other.places.keys(), key=lambda key: self.places[key]):
                self.add("error", self.places[key], f"id {key!r}: has no partner in {Path(other.name).name}")


def _doubts(task: Task, example: Example) -> Iterator[str]:
    """What is odd in one question but stops nothing."""
    if not example.profile:
        yield "the profile is empty"
    if not example.input.startswith(task.instruction):
        yield f"malformed input: does not begin with {task.instruction[:40]!r}"
    elif not task.content(example):
        yield "malformed input: nothing follows the official words"
    twins = [key for key, count in Counter(item.id for item in example.profile).items() if count > 1]
    if twins:
        yield f"profile item {twins[0]!r} stands twice ({len(twins)} such)"
    if any(not any(text.strip() for text in item.fields.values()) for item in example.profile):
        yield "a profile item holds no text"
    elif task.answer_field and not all(item.fields[task.answer_field].strip() for item in example.profile):
        yield f"a profile item has no {task.answer_field!r}"


@dataclass
class _Common:
    """What some questions have and others lack, so that it can be used for none."""

    examples: int = 0
    named: int = 0
    items: int = 0
    dated: int = 0

    def count(self, example: Example) -> None:
        self.examples += 1
        self.named += bool(example.user_id)
        self.items += len(example.profile)
        self.dated += sum(item.date is not None for item in example.profile)

    def doubts(self) -> Iterator[str]:
        if 0 < self.named < self.examples:
            yield f"{self.named} of {self.examples} questions have a user_id: without all of them users are inferred"
        if 0 < self.dated < self.items:
            yield f"{self.dated} of {self.items} profile items have a date: without all of them there is no recency"


def _target_doubts(task: Task, target: str) -> Iterator[tuple[Literal["error", "warning"], str]]:
    """What is wrong or odd with one target."""
    try:
        check_targets(task, {"": target}, "")
    except RpobenchError:
        yield "error", f"unknown label {target[:40]!r}"
    else:
        if not target.strip():
            yield "warning", "the target is empty"


def _told(task: Task, example: Example, target: str) -> ProfileItem | None:
    """The first profile item that tells the answer: a text equal to the target, or the very input."""
    if not task.answer_field:
        return None
    asked = task.content(example)
    for item in example.profile:
        told = item.fields[task.answer_field].strip() == target.strip()
        if (told and not task.labels and target.strip()) or item.fields[task.cut_field].strip() == asked != "":
            return item
    return None
