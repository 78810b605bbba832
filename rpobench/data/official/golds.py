"""Official outputs files: the golds of a split, by example id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpobench.data.official.parse import gold
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


def read_golds(content: Any, task_name: str, where: str) -> dict[str, str]:
    """`{"task": "LaMP_3", "golds": [{"id", "output"}]}`, or a bare list of such records, as answers by id.

    A number as output is its text, as in the official scorer.
    """
    answers: dict[str, str] = {}
    for place, record in enumerate(gold_records(content, task_name, where)):
        at = f"{where}: record {place}"
        key, output = read_gold(record, at)
        if key in answers:
            raise RpobenchError(f"{at}: id {key!r} stands twice, keep one")
        answers[key] = output
    return answers


def gold_records(content: Any, task_name: str, where: str) -> list[Any]:
    """The records of outputs, in file order and not yet looked at; see `read_golds`."""
    if isinstance(content, dict):
        named = content.get("task")
        if named not in official_names(task_name):
            raise RpobenchError(f"{where}: is for task {named!r}, expected {official_name(task_name)!r}")
        content = content.get("golds")
    if not isinstance(content, list):
        raise RpobenchError(f'{where}: expected {{"task", "golds": [...]}} or a list of {{"id", "output"}} records')
    return content


def read_gold(record: Any, at: str) -> tuple[str, str]:
    """(id, output) of one official record. Raises RpobenchError that starts with `at`, the name of file and record."""
    answer, faults = gold(record, at)
    if answer is None:
        raise RpobenchError(faults[0])
    return answer


def check_targets(task: Task, targets: Mapping[str, str], where: str) -> None:
    """Refuse a target that is no answer of a task with labels: nothing could be scored against it."""
    for key, target in targets.items():
        if task.labels and target.strip() not in task.labels:
            raise RpobenchError(f"{where}: id {key!r} has output {target[:40]!r}, which is no answer of {task.name}")


def official_name(task_name: str) -> str:
    """`LaMP_3` for `LaMP-3`: the name in files and folders."""
    return task_name.replace("-", "_")


def official_names(task_name: str) -> tuple[str, ...]:
    """Names an outputs file of this task may carry: news categories were LaMP_2 before the movies came."""
    name = official_name(task_name)
    return (name, "LaMP_2") if name == "LaMP_2N" else (name,)


def read_json(file: Path) -> Any:
    """Any JSON file of LaMP's. Raises RpobenchError for what is absent, no UTF-8, a web page or broken."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error
    return parse_json(content, str(file))


def parse_json(content: bytes, where: str) -> Any:
    """See `read_json`; `where` names the source of these bytes in an error."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{where}: no UTF-8 at byte {error.start}: download it again") from error
    if text.lstrip()[:1] == "<":
        raise RpobenchError(f"{where}: is a web page and not JSON: the address was wrong, download it again")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RpobenchError(f"{where}: broken or truncated JSON ({error}): download it again") from error
