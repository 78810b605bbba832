"""Reads the answers of stored runs once more, as their tasks read them today. No model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.sources import restore_source
from rpobench.registry import get_method, get_task
from rpobench.runs.environment import hash_prompts
from rpobench.runs.plan import make_config
from rpobench.scoring.result import score
from rpobench.store.packed_runs import PackedRun
from rpobench.store.predictions import TRUE_ONLY_FIELDS, parse_record
from rpobench.store.results import SCHEMA_VERSION, parse_stored
from rpobench.store.spec import RunSpec, digest_of
from rpobench.task.contract import Task
from rpobench.types import Prediction, RpobenchError

REREAD_FIELDS = ("text", "raw", "draft", "failure", "unanswered")  # of a line, what reading may change

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Reparsed:
    """What became of one run.

    Attributes:
        name: The run as it was called.
        new_name: The run as it is called now; `name` where it was left.
        n: How many answers it has.
        changed: How many of them are read otherwise.
        other_drafts: How many of the drafts that the method was shown would be read otherwise, at least.
        metric: The main metric; None of an unfinished run and of an unscored one.
        before: Its value before.
        after: Its value now.
        reason: Why the run was left as it is; None where it was read.
    """

    name: str
    new_name: str
    n: int = 0
    changed: int = 0
    other_drafts: int = 0
    metric: str | None = None
    before: float | None = None
    after: float | None = None
    reason: str | None = None


class CannotReparse(RpobenchError):
    """Why a run is left as it is."""


def is_current(spec: Json) -> bool:
    """Say whether a run's answers were read by the task's version of today."""
    name = str(spec["task"])
    return get_task(name.split("@")[0]).versioned == name


def reparse_run(run: PackedRun, *, is_finished: bool, data: str | None) -> tuple[PackedRun, Reparsed]:
    """Read the answers of one run once more.

    Args:
        run: The run with its lines. The result of an unfinished one is empty.
        is_finished: Whether it has a result.
        data: The official folder, for a run that is not on synthetic data.

    Returns:
        The run as it is to stand now, under its new name, and what moved.

    Raises:
        CannotReparse: It cannot be read, and why.
    """
    if run.result.get("scores_only"):
        raise CannotReparse("its texts are withheld: read the runs again that it was packed from")

    spec = parse_stored(RunSpec, run.spec, run.name)
    task = get_task(spec.task.split("@")[0])
    _check_prompts_stayed(task, spec)

    lines = {str(line["example_id"]): line for line in run.lines}  # of several for one example the last counts
    stored = [parse_record(line, run.name, number)[0] for number, line in enumerate(lines.values(), start=1)]
    read = _read_again(task, spec, stored)

    new_lines, changed = [], 0
    for line, before, after in zip(lines.values(), stored, read, strict=True):
        new_lines.append(line if after == before else _updated(line, after))
        changed += after != before
    other_drafts = _count_other_drafts(task, read)

    result = dict(run.result)
    if is_finished and changed:
        data_set = _load_data(task, spec, run, data)
        result |= score(task, data_set, {prediction.example_id: prediction for prediction in read})
        result["schema"] = SCHEMA_VERSION

    new_spec = {**run.spec, "task": task.versioned}
    new_name = _rename(run.name, run.spec, new_spec)
    note = {"run": run.name, "task": spec.task, "changed": changed, "other_drafts": other_drafts}
    environment = {**run.environment, "reparsed": note}

    has_metrics = is_finished and not run.result.get("unscored")
    metric = run.result["main_metric"] if has_metrics else None
    report = Reparsed(
        run.name,
        new_name,
        len(lines),
        changed,
        other_drafts,
        metric,
        before=run.result["metrics"][metric] if metric else None,
        after=result["metrics"][metric] if metric else None,
    )
    return PackedRun(new_name, new_spec, environment, result, new_lines), report


def _check_prompts_stayed(task: Task, spec: RunSpec) -> None:
    """Refuse a run of prompts that are no longer those of the task: other questions have other answers."""
    version = spec.task.split("@")[1]
    first, last = task.prompt_version, task.version

    if all(map(str.isdecimal, (first, version, last))):
        is_readable = int(first) <= int(version) < int(last)
    else:
        is_readable = version == first
    if not is_readable:
        raise CannotReparse(f"was asked with the prompts of {spec.task}; those of {task.versioned} are others")


def _read_again(task: Task, spec: RunSpec, stored: Sequence[Prediction]) -> list[Prediction]:
    """The predictions as the run's method reads them today; those that came in from elsewhere as they are."""
    if spec.version == "imported":
        return list(stored)

    method_class = get_method(spec.method)
    if method_class.version != spec.version:
        raise CannotReparse(f"was made by version {spec.version} of {spec.method}, installed is {method_class.version}")

    method = method_class(make_config(method_class, spec.config))
    predictions = []
    for prediction in stored:
        reading = method.read_again(task, prediction)
        if reading is None:
            raise CannotReparse(f"example {prediction.example_id!r}: its answer depends on texts that are not stored")
        predictions.append(reading)
    return predictions


def _updated(line: Json, prediction: Prediction) -> Json:
    """A line of `predictions.jsonl` with what was read."""
    updated = {**line, **{name: getattr(prediction, name) for name in REREAD_FIELDS}}

    for name in TRUE_ONLY_FIELDS:
        if getattr(prediction, name):
            updated[name] = True
        else:
            updated.pop(name, None)
    return updated


def _count_other_drafts(task: Task, predictions: Sequence[Prediction]) -> int:
    """How many drafts would be read otherwise today. Their own words are not stored: the reading is read again."""
    drafts = [prediction.draft for prediction in predictions if prediction.draft]
    return sum(task.parse(draft) != draft for draft in drafts)


def _load_data(task: Task, spec: RunSpec, run: PackedRun, folder: str | None) -> DataSet:
    """The examples with their targets, which are needed where an answer moved."""
    try:
        data_set = restore_source(spec.data, run.result["n"], folder).load_scored(task)
    except RpobenchError as error:
        raise CannotReparse(f"its answers moved and cannot be scored: {error}") from error

    if data_set.sha256 != spec.data.sha256:
        raise CannotReparse(f"its answers moved and cannot be scored: {data_set.source} is not the data of this run")
    if not hash_prompts(task, data_set).match(str(run.environment["prompt_sha256"])):
        raise CannotReparse(f"was asked in other words than those of {task.versioned}")
    return data_set


def _rename(name: str, spec: Json, new_spec: Json) -> str:
    """The name of the run with its new digest in place of the old one."""
    digest = digest_of(spec)
    if not name.endswith(f"-{digest}"):
        raise CannotReparse(f"its spec was changed after the run: its digest is {digest}")
    return f"{name.removesuffix(digest)}{digest_of(new_spec)}"


def leave(run_name: str, error: RpobenchError) -> Reparsed:
    """Say of a run that it was left as it is."""
    return replace(Reparsed(run_name, run_name), reason=str(error))
