"""Whether stored runs are what they say: form, ids, hashes, and numbers computed anew; what a submission must pass."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.lamp import MissingData
from rpobench.data.sources import rescored
from rpobench.measures import by_user
from rpobench.registry import get_task
from rpobench.runner import prompts, score
from rpobench.store import SCHEMA_VERSION, read_predictions
from rpobench.stored import read_environment, read_result, read_run_spec
from rpobench.types import Prediction, RpobenchError

SHA256 = re.compile("[0-9a-f]{64}")
CLOSE = 1e-9
RESCORED = ("metrics", "strict", "scores", "references", "kept")


@dataclass
class Report:
    """What was found of one run: `faults`, each a line, and in `notes` what could not be looked at."""

    run: str
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(place: Path, data: str | None = None) -> list[Report]:
    """Check a run's folder, or every run in a folder. `data` is the official folder, for runs that are not on synth.

    Raises RpobenchError where there is no run at all.
    """
    folders = [place] if (place / "spec.json").exists() else sorted(file.parent for file in place.glob("*/spec.json"))
    if not folders:
        raise RpobenchError(f"{place}: no run in it: a run is a folder with spec.json")
    reports: list[Report] = []
    specs: dict[str, str] = {}
    for folder in folders:
        report = Report(folder.name)
        try:
            _check(folder, data, report, specs)
        except RpobenchError as error:
            report.faults.append(str(error))
        reports.append(report)
    return reports


def _check(folder: Path, data: str | None, report: Report, specs: dict[str, str]) -> None:
    """Add to `report` what is wrong with one run; `specs` holds the runs seen before by their spec."""
    spec = read_run_spec(folder / "spec.json")
    twin = specs.setdefault(repr(sorted(spec.items())), folder.name)
    if twin != folder.name:
        report.faults.append(f"spec.json: the same spec as {twin}: keep one")
    if not (folder / "result.json").exists():
        report.faults.append("result.json: absent, the run is not finished")
        return
    result, environment = read_result(folder / "result.json"), read_environment(folder / "environment.json")
    predictions = read_predictions(folder / "predictions.jsonl")
    result |= {"spec": spec, "folder": str(folder)}
    report.faults += [*_form(result, environment), *_ids(result, predictions)]
    if report.faults:
        return
    summed = by_user(result)
    if summed is None:
        report.notes.append("schema 1: keeps no measures to compute metrics from")
    else:
        found = {name: float(value) for name, value in summed.task.metrics_of(summed.sums.sum(axis=0)).items()}
        report.faults += _differing("measures", {"metrics": found}, result, ("metrics",))
    held = _data(spec, result["n"], data, report)
    if held:
        task = get_task(held.task)
        report.faults += _differing("predictions", score(task, held, predictions), result, RESCORED)
        if prompts(task, held) != environment["prompt_sha256"]:
            report.faults.append("environment.json: prompt_sha256 is not that of the task's prompts")


def _form(result: Mapping[str, Any], environment: Mapping[str, Any]) -> list[str]:
    """Hashes and versions that cannot be."""
    faults = []
    if not 1 <= result["schema"] <= SCHEMA_VERSION:
        faults.append(
            f"result.json: schema {result['schema']} is unknown here (newest {SCHEMA_VERSION}): update rpobench"
        )
    for name in ("data_sha256", "prompt_sha256"):
        if not SHA256.fullmatch(environment[name]):
            faults.append(f"environment.json: {name} is no sha256")
    if environment["data_sha256"] != result["spec"]["data"]["sha256"]:
        faults.append("environment.json: data_sha256 is not that of spec.json")
    return faults


def _ids(result: Mapping[str, Any], predictions: Mapping[str, Prediction]) -> list[str]:
    """Files that speak of different examples."""
    known = {"result.json: scores": set(result["scores"]), "predictions.jsonl": set(predictions)}
    if "examples" in result:
        known["result.json: examples"] = set(result["examples"])
    faults = [
        f"{name}: {len(ids)} examples, {len(result['scores'])} were scored, or other ids"
        for name, ids in known.items()
        if ids != set(result["scores"])
    ]
    if result["n"] != len(result["scores"]):
        faults.append(f"result.json: n is {result['n']} and {len(result['scores'])} scores stand there")
    return faults


def _data(spec: Mapping[str, Any], count: int, folder: str | None, report: Report) -> DataSet | None:
    """The examples with their targets; None with a note where they are not at hand."""
    task = get_task(spec["task"].split("@")[0])
    if f"{task.name}@{task.version}" != spec["task"]:
        report.notes.append(f"not scored anew: is of {spec['task']}, installed is version {task.version}")
        return None
    try:
        held = rescored(spec["data"], count, folder).scored_on(task)
    except RpobenchError as error:
        if folder is not None and not isinstance(error, MissingData):
            raise
        report.notes.append(f"not scored anew: {error}")
        return None
    if held.sha256 != spec["data"]["sha256"]:
        report.faults.append(f"spec.json: data sha256 is not that of {held.source} as it is here")
        return None
    return held


def _differing(source: str, found: Mapping[str, Any], stored: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Stored numbers that are not those computed anew from `source`."""
    told = []
    for name in (name for name in names if name in stored and name in found):
        for place, value in _numbers(stored[name], name):
            anew = dict(_numbers(found[name], name)).get(place)
            if anew is not None and not math.isclose(anew, value, rel_tol=CLOSE, abs_tol=CLOSE):
                told.append(f"result.json: {place} is {value:.6f}, from the {source} it is {anew:.6f}")
    return told


def _numbers(content: Any, place: str) -> list[tuple[str, float]]:
    if isinstance(content, Mapping):
        return [pair for key, value in content.items() for pair in _numbers(value, f"{place}.{key}")]
    return [(place, float(content))]
