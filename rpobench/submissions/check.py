"""Whether stored runs are what they say: form, ids, hashes, and numbers computed anew; what a submission must pass."""

from __future__ import annotations

import json
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
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.scoring.by_user import sum_by_user
from rpobench.scoring.result import count_predictions, score
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, read_run_spec
from rpobench.store.spec import RunSpec, Spec, digest_of
from rpobench.store.stored_run import StoredRun
from rpobench.submissions.differences import find_differences, find_infinite
from rpobench.types import Prediction, RpobenchError

SHA256 = re.compile("[0-9a-f]{64}")

Predictions = Mapping[str, Prediction]  # by example id


@dataclass
class Report:
    """What was found of one run: `faults`, each a line, and in `notes` what could not be looked at."""

    run: str
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_runs(folder: Path, data: str | None = None) -> list[Report]:
    """Check a run, or every run in a folder or packed set.

    Args:
        folder: A run's folder, a folder of runs, or a packed set; for one run of a packed set, the set's folder and the
            run's name.
        data: The official folder, for runs that are not on synthetic data.

    Returns:
        A report for each run, by name.

    Raises:
        RpobenchError: There is no run at all.
    """
    store, names = _runs_in(folder)
    if not names:
        raise RpobenchError(f"{folder}: no run in it: a run is a folder with spec.json, or a row of runs.parquet")

    reports = []
    names_by_spec: dict[str, str] = {}
    for name in names:
        report = check_run(store, name, data)
        twin = _find_twin(store, name, names_by_spec)
        if twin:
            report.faults.insert(0, f"spec.json: the same spec as {twin}: keep one")
        reports.append(report)
    return reports


def check_run(store: ResultStore, name: str, data: str | None = None) -> Report:
    """Check one run.

    Args:
        store: Where it is.
        name: Its name.
        data: The official folder, for a run that is not on synthetic data.

    Returns:
        The report. What makes a file unreadable is a fault like others.
    """
    report = Report(name)
    try:
        if not _is_packed(store, name) and not (store.root / name / "result.json").exists():
            read_run_spec(store.root / name / "spec.json")
            report.faults.append("result.json: absent, the run is not finished")
        else:
            _check_finished(store.find(name), data, report)
    except RpobenchError as error:
        report.faults.append(str(error))
    return report


def _runs_in(folder: Path) -> tuple[ResultStore, list[str]]:
    """The store and the names of the runs that a path means."""
    parent = ResultStore(folder.parent)
    if (folder / "spec.json").exists() or folder.name in parent.packed.runs:
        return parent, [folder.name]

    store = ResultStore(folder)
    names = {file.parent.name for file in folder.glob("*/spec.json")} | store.packed.runs.keys()
    return store, sorted(names)


def _is_packed(store: ResultStore, name: str) -> bool:
    return name in store.packed.runs and not (store.root / name / "spec.json").exists()


def _find_twin(store: ResultStore, name: str, names_by_spec: dict[str, str]) -> str | None:
    """Another run of the same spec that was seen before; unreadable specs have none."""
    try:
        if _is_packed(store, name):
            content = store.packed.runs[name].spec
        else:
            content = _stored_content(read_run_spec(store.root / name / "spec.json"))
    except RpobenchError:
        return None
    first = names_by_spec.setdefault(json.dumps(content, sort_keys=True), name)
    return first if first != name else None


def _check_finished(run: StoredRun, data: str | None, report: Report) -> None:
    """Add to the report what is wrong with a finished run."""
    predictions = run.predictions()
    report.faults += _folder_name_faults(run)
    form_faults = [*_form_faults(run), *_id_faults(run, predictions)]
    if form_faults:
        report.faults += form_faults
        return

    _check_measures(run, report)
    report.faults += _fit_faults(run)
    data_set = _load_data(run, data, report)
    if data_set is not None:
        _check_against_data(run, predictions, data_set, report)
    else:
        task = get_task(run.task_name)
        if task.versioned == run.spec.task:
            facts = _prediction_facts(run) | count_predictions(task, list(predictions.values()))
            report.faults += find_differences("predictions", facts, run.result.to_json())


def _check_measures(run: StoredRun, report: Report) -> None:
    """Compute the metrics anew from the measures that the result keeps."""
    sums = sum_by_user(run)
    if sums is None:
        report.notes.append("metrics not computed anew: schema 1, or another version of the task, keeps no measures")
        return
    values = sums.task.metrics_of(sums.sums.sum(axis=0))
    metrics = {name: float(value) for name, value in values.items()}
    report.faults += find_differences("measures", {"metrics": metrics}, run.result.to_json())


def _check_against_data(run: StoredRun, predictions: Predictions, data_set: DataSet, report: Report) -> None:
    """Score the predictions anew, and look up their evidence and prompts."""
    task = get_task(run.task_name)
    if {labelled.example.id for labelled in data_set.labelled} != set(run.result.scores):
        report.faults.append("result.json: scores: are not of the examples of its data")
        return

    facts = _prediction_facts(run) | score(task, data_set, predictions) | {"synthetic": data_set.synthetic}
    report.faults += find_differences("predictions", facts, run.result.to_json())
    report.faults += _foreign_evidence(run.spec, data_set, predictions)
    if not hash_prompts(task, data_set).match(run.environment.prompt_sha256):
        report.faults.append("environment.json: prompt_sha256 is not that of the task's prompts")


def _prediction_facts(run: StoredRun) -> dict[str, Any]:
    """What follows from the predictions alone; `kept` is null where no prediction went through a gate."""
    return {"kept": None, "seconds": sum(run.reader.seconds().values())}


def _stored_content(spec: Spec) -> dict[str, Any]:
    """The fields that stand in the file of a spec; those that came later than it are not among them."""
    return spec.model_dump(mode="json", exclude_unset=True)


def _folder_name_faults(run: StoredRun) -> list[str]:
    """A spec that is not the one whose digest names its folder."""
    digest = digest_of(_stored_content(run.spec))
    if run.name.endswith(f"-{digest}"):
        return []
    return [f"spec.json: its digest is {digest}, which the folder's name does not end in: changed after the run"]


def _fit_faults(run: StoredRun) -> list[str]:
    """What the fit beside the run says otherwise; without one there is nothing to hold it against."""
    result = run.result.to_json()
    if run.fit_folder is None:
        return find_differences("spec, which names no fit,", {"fit_seconds": None, "fit_tokens": None}, result)
    if run.fit_spec is None:
        return []

    faults = []
    if digest_of(_stored_content(run.fit_spec)) != run.spec.fit:
        faults.append(f"fits/{run.spec.fit}/spec.json: changed after the fit")
    cost = run.reader.fit_cost()
    if cost is not None:
        facts = {"fit_seconds": cost["seconds"], "fit_tokens": cost["tokens"]}
        faults += find_differences("fit", facts, result)
    return faults


def _foreign_evidence(spec: RunSpec, data_set: DataSet, predictions: Predictions) -> list[str]:
    """Evidence that is in nobody's profile, or in that of another user than the run was shown."""
    examples = [labelled.example for labelled in data_set.labelled]
    if spec.profiles == "swapped":
        examples = swap_profiles(examples, seed=spec.seed)

    faults = []
    for example in examples:
        profile_ids = {item.id for item in example.profile}
        for item_id in sorted(set(predictions[example.id].evidence) - profile_ids):
            faults.append(f"predictions.jsonl: {example.id}: evidence {item_id!r} is not in the profile it was shown")
    return faults


def _form_faults(run: StoredRun) -> list[str]:
    """Hashes, versions and numbers that cannot be."""
    spec, result, environment = run.spec, run.result, run.environment
    faults = []
    if not 1 <= result.schema_version <= SCHEMA_VERSION:
        faults.append(
            f"result.json: schema {result.schema_version} is unknown here (newest {SCHEMA_VERSION}): update rpobench"
        )
    hashes = {"data_sha256": environment.data_sha256, "prompt_sha256": environment.prompt_sha256}
    faults += [f"environment.json: {name} is no sha256" for name, text in hashes.items() if not SHA256.fullmatch(text)]

    if result.schema_version > 1 and result.examples is None:
        faults.append(f"result.json: examples: absent, schema {result.schema_version} has them")
    if result.imported != (spec.version == "imported"):
        faults.append(f"result.json: imported does not go with version {spec.version!r} of spec.json")
    if result.texts and not result.synthetic and get_task(run.task_name).licensed:
        faults.append("result.json: texts must be false, the data's licence does not allow them to be shown")

    infinite = find_infinite(result.to_json())
    faults += [f"result.json: {name} is no finite number" for name in infinite[:1]]
    if not result.scores:
        faults.append("result.json: scores: empty, nothing was scored")
    if environment.data_sha256 != spec.data.sha256:
        faults.append("environment.json: data_sha256 is not that of spec.json")
    return faults


def _id_faults(run: StoredRun, predictions: Predictions) -> list[str]:
    """Files that speak of different examples."""
    scores, examples, count = run.result.scores, run.result.examples, run.result.n
    ids_by_file = {"result.json: scores": set(scores), "predictions.jsonl": set(predictions)}
    if examples is not None:
        ids_by_file["result.json: examples"] = set(examples)

    faults = []
    for file_name, ids in ids_by_file.items():
        if ids != set(scores):
            faults.append(f"{file_name}: {len(ids)} examples, {len(scores)} were scored, or other ids")
    if count != len(scores):
        faults.append(f"result.json: n is {count} and {len(scores)} scores stand there")
    return faults


def _load_data(run: StoredRun, folder: str | None, report: Report) -> DataSet | None:
    """The examples with their targets; None with a note where they are not at hand."""
    spec, task = run.spec, get_task(run.task_name)
    if task.versioned != spec.task:
        report.notes.append(f"not scored anew: is of {spec.task}, installed is version {task.version}")
        return None

    try:
        data_set = restore_source(spec.data, run.result.n, folder).load_scored(task)
    except RpobenchError as error:
        if folder is not None and not isinstance(error, MissingData):
            raise
        report.notes.append(f"not scored anew: {error}")
        return None

    if data_set.sha256 != spec.data.sha256:
        report.faults.append(f"spec.json: data sha256 is not that of {data_set.source} as it is here")
        return None
    return data_set
