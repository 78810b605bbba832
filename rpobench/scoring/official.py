"""The official scorer: answers in LaMP's file form against the golds. Needs no model library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from rpobench.data.official.golds import check_targets, official_names, parse_json, read_golds, read_json
from rpobench.registry import get_task
from rpobench.store.files import UNPACKED, UNREADABLE_ZIP
from rpobench.task.extra_metrics import extra_metrics
from rpobench.types import RpobenchError

Answers = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def score(task: str, golds: Answers, preds: Answers) -> dict[str, float]:
    """The official metrics of a task by official name; texts are taken as they are.

    `golds` and `preds` are files or their content: `{"task", "golds": [{"id", "output"}]}` or the bare list; or zips
    with such a file of this task among others. Raises RpobenchError where the ids of one do not match the other's,
    naming one.
    """
    return get_task(task).aggregate(*_aligned(task, golds, preds))


def score_extra(task: str, golds: Answers, preds: Answers) -> dict[str, Any]:
    """What `score --extra` adds for the same answers: see `extra_metrics`."""
    return extra_metrics(get_task(task), *_aligned(task, golds, preds))


def _aligned(task: str, golds: Answers, preds: Answers) -> tuple[list[str], list[str]]:
    """Predictions and targets in the golds' order."""
    wanted, given = read_answers(task, "golds", golds), read_answers(task, "preds", preds)
    for lacking, name in ((wanted.keys() - given.keys(), "preds"), (given.keys() - wanted.keys(), "golds")):
        if lacking:
            raise RpobenchError(f"{name}: lacks id {min(lacking)!r} ({len(lacking)} in all)")
    if not wanted:
        raise RpobenchError("golds: hold no answer, so there is nothing to score")
    check_targets(get_task(task), wanted, "golds")
    return [given[key] for key in wanted], list(wanted.values())


def score_all(golds: Path, preds: Path, *, extra: bool = False) -> dict[str, dict[str, Any]]:
    """The metrics of every task in two zips of official files, by task name; with `extra` those of `score_extra` too.

    Raises RpobenchError where a zip lacks a task of the other or names one that nobody declared.
    """
    held = {name: _by_task(file) for name, file in (("golds", golds), ("preds", preds))}
    for one, other in (("golds", "preds"), ("preds", "golds")):
        if lacking := sorted(held[other].keys() - held[one].keys()):
            raise RpobenchError(f"{one}: hold no {lacking[0]}, which {other} do")
    if not held["golds"]:
        raise RpobenchError(f"{golds}: holds no official outputs file")
    found = {}
    for official, (_, wanted) in sorted(held["golds"].items()):
        task, given = official.replace("_", "-"), held["preds"][official][1]
        found[task] = score(task, wanted, given) | (score_extra(task, wanted, given) if extra else {})
    return found


def read_answers(task: str, name: str, answers: Answers) -> dict[str, str]:
    """Outputs of a task by example id, from a file, a zip that holds one, or content; `name` is theirs in errors."""
    if not isinstance(answers, str | Path):
        return read_golds(json.loads(json.dumps(answers)), task, name)
    file = Path(answers)
    if not is_zipfile(file):
        return read_golds(read_json(file), task, str(file))
    held = _by_task(file)
    for official in official_names(task):
        if official in held:
            member, content = held[official]
            return read_golds(content, task, f"{file}: {member}")
    raise RpobenchError(f"{file}: holds no outputs of {task}, only of {', '.join(sorted(held)) or 'no task'}")


def _by_task(file: Path) -> dict[str, tuple[str, Any]]:
    """(member, content) of every JSON file in a zip by the task it names; read in memory, nothing is extracted."""
    held: dict[str, tuple[str, Any]] = {}
    try:
        with ZipFile(file) as zipped:
            members = _unpacked(file, zipped)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: no readable zip ({error}): make it again") from error
    for member, packed in members.items():
        content = parse_json(packed, f"{file}: {member}")
        task = content.get("task") if isinstance(content, dict) else None
        if not isinstance(task, str):
            raise RpobenchError(f'{file}: {member}: expected {{"task", "golds": [...]}}')
        if task in held:
            raise RpobenchError(f"{file}: {member}: a second file of {task} beside {held[task][0]}, keep one")
        held[task] = (member, content)
    return held


def _unpacked(file: Path, zipped: ZipFile) -> dict[str, bytes]:
    """The JSON members' bytes. Counts what comes out, since a zip's own figures need not be true."""
    members: dict[str, bytes] = {}
    room = UNPACKED
    for name in zipped.namelist():
        if name.endswith(".json"):
            with zipped.open(name) as member:
                members[name] = member.read(room + 1)
            room -= len(members[name])
        if room < 0:
            raise RpobenchError(
                f"{file}: {name}: over {UNPACKED} bytes unpacked, which no outputs file needs: split it"
            )
    return members
