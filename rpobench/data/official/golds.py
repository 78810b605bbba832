"""Reads official outputs files: the golds of a split by example id.

"Golds" is LaMP's word for targets, and an "outputs file" is LaMP's file of them; predictions have the same form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpobench.data.official.records import parse_gold
from rpobench.registry import get_task
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


def read_golds(content: Any, task_name: str, location: str) -> dict[str, str]:
    """Read the answers of an outputs file by example id.

    Args:
        content: The parsed JSON: `{"task": "LaMP_3", "golds": [{"id", "output"}]}` or a bare list of such records.
        task_name: The task that the file must be for.
        location: Names the file in an error.

    Returns:
        The answer by example id. A number as output is its text, as in the official scorer.

    Raises:
        RpobenchError: The content has another form, is for another task, or names an id twice.
    """
    task = get_task(task_name)
    answers: dict[str, str] = {}
    for position, record in enumerate(list_gold_records(content, task_name, location)):
        record_location = f"{location}: record {position}"
        example_id, output = _read_gold(record, record_location)

        if example_id in answers:
            raise RpobenchError(f"{record_location}: id {example_id!r} stands twice, keep one")
        answers[example_id] = task.canonical(output)
    return answers


def list_gold_records(content: Any, task_name: str, location: str) -> list[Any]:
    """List the records of an outputs file in order, each still to be parsed.

    Args:
        content: The parsed JSON, as `read_golds` takes it.
        task_name: The task that the file must be for.
        location: Names the file in an error.

    Returns:
        The records, which may be anything.

    Raises:
        RpobenchError: The content has another form, or is for another task.
    """
    if isinstance(content, dict):
        content_task = content.get("task")
        if content_task not in official_names(task_name):
            raise RpobenchError(f"{location}: is for task {content_task!r}, expected {official_name(task_name)!r}")
        content = content.get("golds")

    if not isinstance(content, list):
        raise RpobenchError(f'{location}: expected {{"task", "golds": [...]}} or a list of {{"id", "output"}} records')
    return content


def _read_gold(record: Any, location: str) -> tuple[str, str]:
    """Parse one official record as (example id, output); its first fault is raised."""
    answer, faults = parse_gold(record, location)

    if answer is None:
        raise RpobenchError(faults[0])
    return answer


def check_targets(task: Task, targets: Mapping[str, str], location: str) -> None:
    """Refuse a target that is no answer of a task with labels, since nothing could be scored against it.

    Args:
        task: The task that the targets are of.
        targets: The target by example id.
        location: Names the file in an error.

    Raises:
        RpobenchError: Names the first such target.
    """
    for example_id, target in targets.items():
        if task.labels and target.strip() not in task.labels:
            raise RpobenchError(
                f"{location}: id {example_id!r} has output {target[:40]!r}, which is no answer of {task.name}: "
                f"wanted is one of {', '.join(task.labels)}"
            )


def official_name(task_name: str) -> str:
    """Return a task's name in files and folders: `LaMP_3` for `LaMP-3`."""
    return task_name.replace("-", "_")


def official_names(task_name: str) -> tuple[str, ...]:
    """Return the names that an outputs file of a task may carry: LaMP_2 was the news before the movies came."""
    name = official_name(task_name)
    return (name, "LaMP_2") if name == "LaMP_2N" else (name,)


def read_json(file: Path) -> Any:
    """Read any JSON file of LaMP's.

    Args:
        file: The file to read whole.

    Returns:
        The parsed JSON.

    Raises:
        RpobenchError: The file is absent, not UTF-8, a web page, or broken.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error
    return parse_json(content, str(file))


def parse_json(content: bytes, location: str) -> Any:
    """Parse the bytes of a JSON file; `location` names their source in an error. See `read_json`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RpobenchError(f"{location}: no UTF-8 at byte {error.start}: download it again") from error

    if text.lstrip()[:1] == "<":
        raise RpobenchError(f"{location}: is a web page and not JSON: the address was wrong, download it again")

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RpobenchError(f"{location}: broken or truncated JSON ({error}): download it again") from error
