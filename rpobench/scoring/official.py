"""The official scorer: answers in LaMP's file form against the golds. It needs no model library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from rpobench.data.official.golds import check_targets, official_names, parse_json, read_golds
from rpobench.registry import get_task
from rpobench.scoring.answer_forms import list_records, read_answer_file
from rpobench.store.files import MAX_UNPACKED_BYTES, UNREADABLE_ZIP
from rpobench.task.extra_metrics import extra_metrics
from rpobench.task.metrics import warn_of_unseen
from rpobench.types import RpobenchError

# A file, or its content: `{"task", "golds": [{"id", "output"}]}`, the bare list of records, or `{id: text}`.
Answers = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ZipMember:
    """A file in a zip with its parsed content."""

    name: str
    content: Any


def score(task: str, golds: Answers, preds: Answers) -> dict[str, float]:
    """Compute the official metrics of a task; texts are taken as they are.

    Args:
        task: The name of the task.
        golds: The targets: a file, a zip with a file of this task among others, or content.
        preds: The predictions in the same form.

    Returns:
        The metrics by official name.

    Raises:
        RpobenchError: The ids of one do not match the other's; the message names an id.
    """
    predictions, targets = _align(task, golds, preds)

    return get_task(task).aggregate(predictions, targets)


def score_extra(task: str, golds: Answers, preds: Answers) -> dict[str, Any]:
    """Compute what `rpobench score --extra` adds for the same answers.

    Args:
        task: The name of the task.
        golds: The targets, as for `score`.
        preds: The predictions, as for `score`.

    Returns:
        The metrics of `extra_metrics`.

    Raises:
        RpobenchError: The ids of one do not match the other's.
    """
    predictions, targets = _align(task, golds, preds)

    return extra_metrics(get_task(task), predictions, targets)


def list_warnings(task: str, golds: Answers, preds: Answers) -> list[str]:
    """Say what makes the official metrics of these answers mean less than they seem to.

    Args:
        task: The name of the task.
        golds: The targets, as for `score`.
        preds: The predictions, as for `score`.

    Returns:
        A line for golds and one for predictions in which ROUGE sees nothing; none for tasks with labels.
    """
    if get_task(task).labels:
        return []

    warnings = []
    for name, answers in (("golds", golds), ("preds", preds)):
        warning = warn_of_unseen(name, list(read_answers(task, name, answers).values()))
        if warning:
            warnings.append(f"{task}: {warning}")
    return warnings


def score_all(golds: Path, preds: Path, *, extra: bool = False) -> dict[str, dict[str, Any]]:
    """Compute the metrics of every task in two zips of official files.

    Args:
        golds: The zip of targets.
        preds: The zip of predictions.
        extra: Whether to add the metrics of `score_extra`.

    Returns:
        The metrics of each task by its name.

    Raises:
        RpobenchError: A zip lacks a task of the other, or names one that nobody declared.
    """
    gold_members = _members_by_task(golds)
    pred_members = _members_by_task(preds)

    _require_same_tasks("golds", gold_members, "preds", pred_members)
    _require_same_tasks("preds", pred_members, "golds", gold_members)
    if not gold_members:
        raise RpobenchError(f"{golds}: holds no official outputs file")

    metrics_by_task = {}
    for official_name in sorted(gold_members):
        task = official_name.replace("_", "-")
        targets, predictions = gold_members[official_name].content, pred_members[official_name].content

        metrics: dict[str, Any] = dict(score(task, targets, predictions))
        if extra:
            metrics |= score_extra(task, targets, predictions)
        metrics_by_task[task] = metrics
    return metrics_by_task


def read_answers(task: str, name: str, answers: Answers) -> dict[str, str]:
    """Read the outputs of a task.

    Args:
        task: The name of the task.
        name: What content without a file is called in errors.
        answers: A file (official, `{id: text}` or JSONL), a zip that holds an official one of this task, or content.

    Returns:
        The outputs by example id.

    Raises:
        RpobenchError: There are no outputs of this task, or they have none of the known forms.
    """
    if not isinstance(answers, str | Path):
        return read_golds(list_records(json.loads(json.dumps(answers))), task, name)

    file = Path(answers)
    if file.name == "test_outputs.json" and not file.exists():
        raise RpobenchError(
            f"{file}: absent, LaMP withholds the targets of its test split: score dev, or submit what "
            "`rpobench export` writes"
        )
    if not is_zipfile(file):
        return read_golds(read_answer_file(file), task, str(file))

    members = _members_by_task(file)
    for official_name in official_names(task):
        if official_name in members:
            member = members[official_name]
            return read_golds(member.content, task, f"{file}: {member.name}")

    raise RpobenchError(f"{file}: holds no outputs of {task}, only of {', '.join(sorted(members)) or 'no task'}")


def _align(task: str, golds: Answers, preds: Answers) -> tuple[list[str], list[str]]:
    """Predictions and targets in the order of the golds."""
    targets = read_answers(task, "golds", golds)
    predictions = read_answers(task, "preds", preds)

    _require_same_ids("preds", predictions, targets)
    _require_same_ids("golds", targets, predictions)
    if not targets:
        raise RpobenchError("golds: hold no answer, so there is nothing to score")
    check_targets(get_task(task), targets, "golds")

    return [predictions[example_id] for example_id in targets], list(targets.values())


def _require_same_ids(name: str, answers: Mapping[str, str], others: Mapping[str, str]) -> None:
    missing_ids = others.keys() - answers.keys()
    if missing_ids:
        raise RpobenchError(f"{name}: lacks id {min(missing_ids)!r} ({len(missing_ids)} in all)")


def _require_same_tasks(
    name: str, members: Mapping[str, ZipMember], other_name: str, other_members: Mapping[str, ZipMember]
) -> None:
    missing_tasks = sorted(other_members.keys() - members.keys())
    if missing_tasks:
        raise RpobenchError(f"{name}: hold no {missing_tasks[0]}, which {other_name} do")


def _members_by_task(file: Path) -> dict[str, ZipMember]:
    """Every JSON file in a zip by the task that it names. It is read in memory; nothing is extracted."""
    try:
        with ZipFile(file) as zipped:
            contents = _unpack(file, zipped)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: no readable zip ({error}): make it again") from error

    members: dict[str, ZipMember] = {}
    for name, packed in contents.items():
        content = parse_json(packed, f"{file}: {name}")
        task = content.get("task") if isinstance(content, dict) else None
        if not isinstance(task, str):
            raise RpobenchError(f'{file}: {name}: expected {{"task", "golds": [...]}}')
        if task in members:
            raise RpobenchError(f"{file}: {name}: a second file of {task} beside {members[task].name}, keep one")
        members[task] = ZipMember(name, content)
    return members


def _unpack(file: Path, zipped: ZipFile) -> dict[str, bytes]:
    """The bytes of the JSON members. They are counted as they come out, since sizes noted in a zip need not be true."""
    contents: dict[str, bytes] = {}
    remaining = MAX_UNPACKED_BYTES

    for name in zipped.namelist():
        if name.endswith(".json"):
            with zipped.open(name) as member:
                contents[name] = member.read(remaining + 1)
            remaining -= len(contents[name])

        if remaining < 0:
            raise RpobenchError(
                f"{file}: {name}: over {MAX_UNPACKED_BYTES} bytes unpacked, which no outputs file needs: split it"
            )
    return contents
