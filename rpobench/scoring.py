"""The official scorer: answers in LaMP's file form against the golds. Needs no model library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rpobench.data.lamp import read_golds, read_json
from rpobench.registry import get_task
from rpobench.types import RpobenchError

Answers = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def score(task: str, golds: Answers, preds: Answers) -> dict[str, float]:
    """The official metrics of a task by official name; texts are taken as they are.

    `golds` and `preds` are files or their content: `{"task", "golds": [{"id", "output"}]}` or the bare list. Raises
    RpobenchError where the ids of one do not match the other's, naming one.
    """
    judge = get_task(task)
    wanted, given = (_answers(task, "golds", golds), _answers(task, "preds", preds))
    for lacking, name in ((wanted.keys() - given.keys(), "preds"), (given.keys() - wanted.keys(), "golds")):
        if lacking:
            raise RpobenchError(f"{name}: lacks id '{min(lacking)}' ({len(lacking)} in all)")
    if not wanted:
        raise RpobenchError("golds: hold no answer, so there is nothing to score")
    for key, target in wanted.items():
        if judge.labels and target.strip() not in judge.labels:
            raise RpobenchError(f"golds: id '{key}' has output '{target[:40]}', which is no answer of {task}")
    ids = list(wanted)
    return judge.aggregate([given[key] for key in ids], [wanted[key] for key in ids])


def _answers(task: str, name: str, answers: Answers) -> dict[str, str]:
    if isinstance(answers, str | Path):
        return read_golds(read_json(Path(answers)), task, str(answers))
    return read_golds(json.loads(json.dumps(answers)), task, name)
