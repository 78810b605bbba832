"""Whether stored runs are what they say: form, ids, hashes, and numbers computed anew; what a submission must pass."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.official.folder import MissingData
from rpobench.data.sources import restore_source
from rpobench.registry import get_task
from rpobench.runs.environment import hash_prompts
from rpobench.runs.fit_cost import FIT_COST
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.scoring.by_user import sum_by_user
from rpobench.scoring.result import counted, score
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, read_run_spec
from rpobench.store.spec import RunSpec, Spec, digest_of
from rpobench.store.stored_run import StoredRun
from rpobench.types import Prediction, RpobenchError

SHA256 = re.compile("[0-9a-f]{64}")
MEANT = {"unanswered": 0}  # by an absent field; by every other null
CLOSE = 1e-9
ROUNDED = 1e-3  # seconds are kept to the millisecond


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
    twin = specs.setdefault(json.dumps(_content(spec), sort_keys=True), folder.name)
    if twin != folder.name:
        report.faults.append(f"spec.json: the same spec as {twin}: keep one")
    if not (folder / "result.json").exists():
        report.faults.append("result.json: absent, the run is not finished")
        return
    run = ResultStore(folder.parent).load(folder)
    predictions, result = run.predictions(), run.result.to_json()
    report.faults += _named(folder, spec)
    if wrong := [*_form(run), *_ids(run, predictions)]:
        report.faults += wrong
        return
    summed = sum_by_user(run)
    if summed is None:
        report.notes.append("metrics not computed anew: schema 1, or another version of the task, keeps no measures")
    else:
        found = {name: float(value) for name, value in summed.task.metrics_of(summed.sums.sum(axis=0)).items()}
        report.faults += _differing("measures", {"metrics": found}, result)
    report.faults += _fit(run, result)
    task, held = get_task(run.task_name), _data(spec, run.result.n, data, report)
    spent = {"kept": None, "seconds": sum(run.reader.seconds().values())}
    if not held and task.versioned == spec.task:
        report.faults += _differing("predictions", spent | counted(task, list(predictions.values())), result)
    if held and {one.example.id for one in held.labelled} != set(run.result.scores):
        report.faults.append("result.json: scores: are not of the examples of its data")
    elif held:
        found = spent | score(task, held, predictions) | {"synthetic": held.synthetic}
        report.faults += _differing("predictions", found, result)
        report.faults += _foreign_evidence(spec, held, predictions)
        if not hash_prompts(task, held).match(run.environment.prompt_sha256):
            report.faults.append("environment.json: prompt_sha256 is not that of the task's prompts")


def _content(spec: Spec) -> dict[str, Any]:
    """The fields that stand in the file of a spec; those that came later than it are not among them."""
    return spec.model_dump(mode="json", exclude_unset=True)


def _named(folder: Path, spec: RunSpec) -> list[str]:
    """A spec that is not the one whose digest names its folder."""
    digest = digest_of(_content(spec))
    if folder.name.endswith(f"-{digest}"):
        return []
    return [f"spec.json: its digest is {digest}, which the folder's name does not end in: changed after the run"]


def _fit(run: StoredRun, result: Mapping[str, Any]) -> list[str]:
    """What the fit beside the run says otherwise; without one there is nothing to hold it against."""
    name, fit = run.spec.fit, run.fit_folder
    if not fit:
        return _differing("spec, which names no fit,", {"fit_seconds": None, "fit_tokens": None}, result)
    if run.fit_spec is None:
        return []
    unchanged = digest_of(_content(run.fit_spec)) == name
    faults = [] if unchanged else [f"fits/{name}/spec.json: changed after the fit"]
    if not (fit / FIT_COST).exists():
        return faults
    cost = read_json(fit / FIT_COST)
    return faults + _differing("fit", {"fit_seconds": cost["seconds"], "fit_tokens": cost["tokens"]}, result)


def _foreign_evidence(spec: RunSpec, data: DataSet, predictions: Mapping[str, Prediction]) -> list[str]:
    """Evidence that is in nobody's profile, or in that of another user than the run was shown."""
    examples = [one.example for one in data.labelled]
    if spec.profiles == "swapped":
        examples = swap_profiles(examples, seed=spec.seed)
    return [
        f"predictions.jsonl: {example.id}: evidence {key!r} is not in the profile it was shown"
        for example in examples
        for key in sorted(set(predictions[example.id].evidence) - {item.id for item in example.profile})
    ]


def _form(run: StoredRun) -> list[str]:
    """Hashes and versions that cannot be."""
    spec, result, environment = run.spec, run.result, run.environment
    faults = []
    if not 1 <= result.schema_version <= SCHEMA_VERSION:
        faults.append(
            f"result.json: schema {result.schema_version} is unknown here (newest {SCHEMA_VERSION}): update rpobench"
        )
    for name in ("data_sha256", "prompt_sha256"):
        if not SHA256.fullmatch(getattr(environment, name)):
            faults.append(f"environment.json: {name} is no sha256")
    if result.schema_version > 1 and result.examples is None:
        faults.append(f"result.json: examples: absent, schema {result.schema_version} has them")
    if result.imported != (spec.version == "imported"):
        faults.append(f"result.json: imported does not go with version {spec.version!r} of spec.json")
    if result.texts and not result.synthetic and get_task(run.task_name).licensed:
        faults.append("result.json: texts must be false, the data's licence does not allow them to be shown")
    wild = [
        place for place, value in _leaves(result.to_json(), "") if isinstance(value, float) and not math.isfinite(value)
    ]
    faults += [f"result.json: {place.removeprefix('.')} is no finite number" for place in wild[:1]]
    if not result.scores:
        faults.append("result.json: scores: empty, nothing was scored")
    if environment.data_sha256 != spec.data.sha256:
        faults.append("environment.json: data_sha256 is not that of spec.json")
    return faults


def _ids(run: StoredRun, predictions: Mapping[str, Prediction]) -> list[str]:
    """Files that speak of different examples."""
    scores, examples, count = run.result.scores, run.result.examples, run.result.n
    known = {"result.json: scores": set(scores), "predictions.jsonl": set(predictions)}
    if examples is not None:
        known["result.json: examples"] = set(examples)
    faults = [
        f"{name}: {len(ids)} examples, {len(scores)} were scored, or other ids"
        for name, ids in known.items()
        if ids != set(scores)
    ]
    if count != len(scores):
        faults.append(f"result.json: n is {count} and {len(scores)} scores stand there")
    return faults


def _data(spec: RunSpec, count: int, folder: str | None, report: Report) -> DataSet | None:
    """The examples with their targets; None with a note where they are not at hand."""
    task = get_task(spec.task.split("@")[0])
    if task.versioned != spec.task:
        report.notes.append(f"not scored anew: is of {spec.task}, installed is version {task.version}")
        return None
    try:
        held = restore_source(spec.data, count, folder).load_scored(task)
    except RpobenchError as error:
        if folder is not None and not isinstance(error, MissingData):
            raise
        report.notes.append(f"not scored anew: {error}")
        return None
    if held.sha256 != spec.data.sha256:
        report.faults.append(f"spec.json: data sha256 is not that of {held.source} as it is here")
        return None
    return held


def _differing(source: str, found: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Stored facts that are not those computed anew from `source`; what an older schema lacks is left alone."""
    told = []
    for name in (name for name in found if name in stored or stored["schema"] == SCHEMA_VERSION):
        old, new = dict(_leaves(stored.get(name, MEANT.get(name)), name)), dict(_leaves(found[name], name))
        near = ROUNDED if name.endswith("seconds") else CLOSE
        for place in {**old, **new}:
            if place not in new:
                told.append(f"result.json: {place} is {_shown(old[place])}, from the {source} there is none")
            elif place not in old:
                told.append(f"result.json: {place} is absent, from the {source} it is {_shown(new[place])}")
            elif not _same(old[place], new[place], near):
                told.append(
                    f"result.json: {place} is {_shown(old[place])}, from the {source} it is {_shown(new[place])}"
                )
    return told


def _leaves(content: Any, place: str) -> list[tuple[str, Any]]:
    """(place, value) of everything in nested objects and lists."""
    if isinstance(content, Mapping):
        return [pair for key, value in content.items() for pair in _leaves(value, f"{place}.{key}")]
    if isinstance(content, list):
        return [pair for number, value in enumerate(content) for pair in _leaves(value, f"{place}.{number}")]
    return [(place, content)]


def _same(one: Any, other: Any, near: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=near)
    return bool(one == other)


def _shown(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else repr(value)
