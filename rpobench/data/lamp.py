"""Official LaMP folders: `DIR/LaMP_3/dev_questions.json` with `dev_outputs.json`, checked record by record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.task import Task
from rpobench.types import Example, Labelled, ProfileItem, RpobenchError


class MissingData(RpobenchError):
    """A folder holds nothing of this task or split."""


def load_official(task: Task, folder: Path, split: str, *, limit: int | None = None) -> DataSet:
    """The labelled examples of a task in an official folder, in file order.

    `folder` holds `LaMP_N/` or is it; a split's files stand there or in a folder of the split's name. Raises
    MissingData where they are absent, RpobenchError that names file and record where they are broken.
    """
    questions, outputs = _files(task, folder, split)
    examples = _examples(task, questions)
    if not outputs.exists():
        raise MissingData(f"{outputs}: absent, and without targets nothing is scored (LaMP withholds those of test)")
    targets = read_outputs(task, outputs)
    _match(examples, targets, questions, outputs)
    examples, users = _with_users(examples)
    labelled = tuple(Labelled(example, targets[example.id]) for example in examples)
    return DataSet(task.name, folder.name, split, labelled[:limit], users=users)


def has_split(task: Task, folder: Path, split: str) -> bool:
    """Whether the folder has questions of this split."""
    try:
        _files(task, folder, split)
    except MissingData:
        return False
    return True


def split_users(data: DataSet, holdout: float, *, seed: int) -> tuple[DataSet, DataSet]:
    """Split by user into (train, scored): about `holdout` (0..1) of the users are scored on."""
    users = sorted({one.example.user_id for one in data.labelled})
    count = round(holdout * len(users))
    if not 0 < count < len(users):
        raise RpobenchError(
            f"--holdout {holdout}: leaves one side of {len(users)} users empty, use a share between 0 and 1"
        )
    scored = set(Random(f"holdout/{seed}").sample(users, count))
    parts = [
        tuple(one for one in data.labelled if (one.example.user_id in scored) is wanted) for wanted in (False, True)
    ]
    train, test = (replace(data, labelled=part) for part in parts)
    return train, test


def read_outputs(task: Task, file: Path) -> dict[str, str]:
    """The golds of an official outputs file by example id."""
    return read_golds(read_json(file), task.name, str(file))


def read_golds(content: Any, task_name: str, where: str) -> dict[str, str]:
    """`{"task": "LaMP_3", "golds": [{"id", "output"}]}`, or a bare list of such records, as answers by id."""
    if isinstance(content, dict):
        named = content.get("task")
        official = task_name.replace("-", "_")
        if named not in (official, official.replace("2N", "2")):
            raise RpobenchError(f"{where}: is for task {named!r}, expected {official!r}")
        content = content.get("golds")
    if not isinstance(content, list):
        raise RpobenchError(f'{where}: expected {{"task", "golds": [...]}} or a list of {{"id", "output"}} records')
    answers: dict[str, str] = {}
    for place, record in enumerate(content):
        at = f"{where}: record {place}"
        key = _text(record, "id", at)
        if key in answers:
            raise RpobenchError(f"{at}: id '{key}' stands twice, keep one")
        answers[key] = _text(record, "output", at)
    return answers


def read_json(file: Path) -> Any:
    """Any JSON file of LaMP's. Raises RpobenchError for what is absent, no UTF-8, a web page or broken."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{file}: no UTF-8 at byte {error.start}: download it again") from error
    if text.lstrip()[:1] == "<":
        raise RpobenchError(f"{file}: is a web page and not JSON: the address was wrong, download it again")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RpobenchError(f"{file}: broken or truncated JSON ({error}): download it again") from error


def _files(task: Task, folder: Path, split: str) -> tuple[Path, Path]:
    official = task.name.replace("-", "_")
    for place in (folder / official, folder):
        for inner in (place, place / split):
            questions = inner / f"{split}_questions.json"
            if questions.exists() and (place != folder or folder.name == official):
                return questions, inner / f"{split}_outputs.json"
    raise MissingData(f"{folder}: no {official}/{split}_questions.json")


def _examples(task: Task, file: Path) -> list[Example]:
    content = read_json(file)
    if not isinstance(content, list):
        raise RpobenchError(f"{file}: expected a list of questions")
    examples, seen = [], set()
    for place, record in enumerate(content):
        example = _example(task, record, f"{file}: record {place}")
        if example.id in seen:
            raise RpobenchError(f"{file}: record {place}: id '{example.id}' stands twice, keep one")
        seen.add(example.id)
        examples.append(example)
    if not examples:
        raise RpobenchError(f"{file}: holds no question")
    return examples


def _example(task: Task, record: Any, at: str) -> Example:
    key, text = _text(record, "id", at), _text(record, "input", at)
    profile = record.get("profile")
    if not isinstance(profile, list):
        raise RpobenchError(f"{at} (id {key}): no list 'profile'")
    items = []
    for place, item in enumerate(profile):
        here = f"{at} (id {key}): profile item {place}"
        fields = {name: _text(item, name, here) for name in task.fields}
        items.append(ProfileItem(_text(item, "id", here), fields, _date(item.get("date"), here)))
    example = Example(key, str(record.get("user_id", "")), text, tuple(items))
    task.check(example, at)
    return example


def _text(record: Any, name: str, at: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise RpobenchError(f"{at}: no text '{name}'")
    return value


def _date(value: Any, at: str) -> date | None:
    """An ISO date, or a year alone (its first day, so ties keep the official order)."""
    if value is None or value == "":
        return None
    text = str(value)
    try:
        return date(int(text), 1, 1) if len(text) == 4 else date.fromisoformat(text[:10])
    except ValueError as error:
        raise RpobenchError(f"{at}: '{text[:40]}' is no date such as 2014-11-13 or 2014") from error


def _match(examples: Sequence[Example], targets: dict[str, str], questions: Path, outputs: Path) -> None:
    asked = {example.id for example in examples}
    for lacking, file, other in (
        (asked - targets.keys(), outputs, questions),
        (targets.keys() - asked, questions, outputs),
    ):
        if lacking:
            raise RpobenchError(f"{file}: lacks id '{min(lacking)}' of {other.name} ({len(lacking)} in all)")


def _with_users(examples: Sequence[Example]) -> tuple[list[Example], str]:
    """User ids as given, or the connected components of examples whose profiles share an item's text."""
    if all(example.user_id for example in examples):
        return list(examples), "given"
    owner: dict[str, str] = {}
    parent = {example.id: example.id for example in examples}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for example in examples:
        for item in example.profile:
            text = hashlib.sha256(repr(sorted(item.fields.items())).encode("utf-8", "surrogatepass")).hexdigest()
            parent[root(example.id)] = root(owner.setdefault(text, example.id))
    return [replace(example, user_id=f"user-{root(example.id)}") for example in examples], "inferred"
