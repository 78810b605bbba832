"""Whether stored runs are what they say: form, ids, hashes, and numbers computed anew; what a submission must pass."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
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
from rpobench.scoring.references import BEST_OWN_ITEM, FLOORS
from rpobench.scoring.result import count_predictions, is_licensed, score
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, read_run_spec
from rpobench.store.spec import RunSpec, Spec, digest_of
from rpobench.store.stored_run import StoredRun
from rpobench.submissions.differences import find_differences, find_infinite
from rpobench.submissions.scores_only import NOTE, find_other_targets, find_texts, leave_out_answers, list_data_facts
from rpobench.types import UNSCORED, Example, Prediction, RpobenchError

SHA256 = re.compile("[0-9a-f]{64}")

Predictions = Mapping[str, Prediction]  # by example id


@dataclass
class Report:
    """What the check says of one run.

    Attributes:
        run: The run's name.
        faults: What is wrong, one line each; a run in order has none.
        notes: What could not be checked, and why, one line each.
    """

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
        A report for each run, in the order of the names.

    Raises:
        RpobenchError: There is no run at all.
    """
    store, names = _list_runs(folder)
    if not names:
        raise RpobenchError(f"{folder}: no run in it: a run is a folder with spec.json, or a row of runs.parquet")

    reports = []
    names_by_spec: dict[str, str] = {}  # the first run of each spec, by the spec's JSON
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
        if not store.is_packed(name) and not (store.root / name / "result.json").exists():
            read_run_spec(store.root / name / "spec.json")
            report.faults.append("result.json: absent, the run is not finished")
        else:
            _check_finished(store.find(name), data, report)
    except RpobenchError as error:
        report.faults.append(str(error))
    return report


def _list_runs(folder: Path) -> tuple[ResultStore, list[str]]:
    """Return the store and the names of the runs that a path means."""
    parent = ResultStore(folder.parent)
    if (folder / "spec.json").exists() or folder.name in parent.packed.runs:
        return parent, [folder.name]

    store = ResultStore(folder)
    return store, store.list_names()


def _find_twin(store: ResultStore, name: str, names_by_spec: dict[str, str]) -> str | None:
    """Find an earlier run of the same spec, by name; unreadable specs have none. `names_by_spec` learns this run."""
    try:
        if store.is_packed(name):
            content = store.packed.runs[name].spec
        else:
            content = _dump_as_stored(read_run_spec(store.root / name / "spec.json"))
    except RpobenchError:
        return None

    first_name = names_by_spec.setdefault(json.dumps(content, sort_keys=True), name)
    return first_name if first_name != name else None


def _check_finished(run: StoredRun, data: str | None, report: Report) -> None:
    """Add to the report what is wrong with a finished run."""
    predictions = run.predictions()
    report.faults += _find_name_faults(run)
    report.notes += [note for note in (run.unanswered_note, None if run.is_scored else UNSCORED) if note]

    # Numbers are computed anew only from files that fit together.
    form_faults = [*_find_form_faults(run), *_find_id_faults(run, predictions)]
    if form_faults:
        report.faults += form_faults
        return

    if run.is_scored:
        _check_measures(run, report)
    report.faults += _find_fit_faults(run)
    if run.result.scores_only:
        report.notes.append(NOTE)
        report.faults += find_texts(predictions)

    data_set = _load_data(run, data, report)
    if data_set is not None:
        _check_against_data(run, predictions, data_set, report)
    else:
        report.faults += _find_count_faults(run, predictions)


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
    if set(data_set.ids) != set(run.example_ids):
        report.faults.append("result.json: scores: are not of the examples of its data")
        return

    stored: Mapping[str, Any] = run.result.to_json()
    if run.result.scores_only:
        scores, stored = list_data_facts(task, data_set, predictions), leave_out_answers(stored)
        report.faults += find_other_targets(run, task, data_set)
    else:
        scores = score(task, data_set, predictions)

    facts = _list_prediction_facts(run) | _leave_out_younger(scores, run) | {"synthetic": data_set.synthetic}
    report.faults += find_differences("predictions", facts, stored)
    report.faults += _find_foreign_evidence(run.spec, data_set, predictions)

    if not hash_prompts(task, data_set).match(run.environment.prompt_sha256):
        report.faults.append("environment.json: prompt_sha256 is not that of the task's prompts")


def _leave_out_younger(scores: Mapping[str, Any], run: StoredRun) -> dict[str, Any]:
    """The facts without floors and ceiling, where the run was scored before there were any."""
    floors = {*FLOORS, BEST_OWN_ITEM}
    if floors & run.result.references.keys():
        return dict(scores)

    examples = {}
    for example_id, example in scores["examples"].items():
        examples[example_id] = {**example, "references": _without(example["references"], floors)}
    return {**scores, "references": _without(scores["references"], floors), "examples": examples}


def _without(content: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def _find_count_faults(run: StoredRun, predictions: Predictions) -> list[str]:
    """Find counts of the result that are not those of its predictions, where the task is still the same version."""
    task = get_task(run.task_name)
    if task.versioned != run.spec.task:
        return []

    facts = _list_prediction_facts(run) | count_predictions(task, list(predictions.values()))
    return find_differences("predictions", facts, run.result.to_json())


def _list_prediction_facts(run: StoredRun) -> dict[str, Any]:
    """Return the fields of a result that follow from the predictions alone, as far as scoring does not return them.

    Scoring overwrites `kept` where a prediction went through a gate; without a gate it must be absent from the result.
    """
    return {"kept": None, "seconds": sum(run.reader.seconds().values())}


def _dump_as_stored(spec: Spec) -> dict[str, Any]:
    """Return the fields that stand in the file of a spec; fields that newer versions added are not among them."""
    return spec.model_dump(mode="json", exclude_unset=True)


def _find_name_faults(run: StoredRun) -> list[str]:
    """Say where a spec is not the one whose digest names its folder."""
    digest = digest_of(_dump_as_stored(run.spec))
    if run.name.endswith(f"-{digest}"):
        return []

    return [f"spec.json: its digest is {digest}, which the folder's name does not end in: changed after the run"]


def _find_fit_faults(run: StoredRun) -> list[str]:
    """Find where a run and its fit disagree; a run may have come without its fit, which is no fault."""
    result = run.result.to_json()

    if run.fit_folder is None:
        return find_differences("spec, which names no fit,", {"fit_seconds": None, "fit_tokens": None}, result)
    if run.fit_spec is None:
        return []

    faults = []
    if digest_of(_dump_as_stored(run.fit_spec)) != run.spec.fit:
        faults.append(f"fits/{run.spec.fit}/spec.json: changed after the fit")

    cost = run.reader.fit_cost()
    if cost is not None:
        facts = {"fit_seconds": cost["seconds"], "fit_tokens": cost["tokens"]}
        if cost.get("left_out"):
            facts["fit_left_out"] = {task: len(ids) for task, ids in cost["left_out"].items()}
        faults += find_differences("fit", facts, result)

    return faults


def _find_foreign_evidence(spec: RunSpec, data_set: DataSet, predictions: Predictions) -> list[str]:
    """Find evidence that is not in the profile which the run was shown, own or swapped."""
    examples: Sequence[Example] = data_set.examples
    if spec.profiles == "swapped":
        examples = swap_profiles(examples, seed=spec.seed)

    faults = []
    for example in examples:
        profile_ids = {item.id for item in example.profile}
        for item_id in sorted(set(predictions[example.id].evidence) - profile_ids):
            faults.append(f"predictions.jsonl: {example.id}: evidence {item_id!r} is not in the profile it was shown")
    return faults


def _find_form_faults(run: StoredRun) -> list[str]:
    """Find hashes, versions and numbers that cannot be, each in itself or beside another field."""
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
    if result.texts and is_licensed(get_task(run.task_name), result):
        faults.append("result.json: texts must be false, the data's licence does not allow them to be shown")

    infinite_paths = find_infinite(result.to_json())
    if infinite_paths:
        faults.append(f"result.json: {infinite_paths[0]} is no finite number")
    if not run.example_ids:
        faults.append("result.json: scores: empty, nothing was scored")
    if result.unscored and (result.metrics or result.scores or result.references):
        faults.append(f"result.json: is {UNSCORED}, and scores stand in it")
    if environment.data_sha256 != spec.data.sha256:
        faults.append("environment.json: data_sha256 is not that of spec.json")

    return faults


def _find_id_faults(run: StoredRun, predictions: Predictions) -> list[str]:
    """Find files and fields that speak of other examples than the scores do."""
    example_ids, examples, count = set(run.example_ids), run.result.examples, run.result.n
    ids_by_file = {"predictions.jsonl": set(predictions)}
    if examples is not None:
        ids_by_file["result.json: examples"] = set(examples)

    faults = []
    for file_name, ids in ids_by_file.items():
        if ids != example_ids:
            faults.append(f"{file_name}: {len(ids)} examples, {len(example_ids)} were scored, or other ids")
    if count != len(example_ids):
        faults.append(f"result.json: n is {count} and {len(example_ids)} scores stand there")
    return faults


def _load_data(run: StoredRun, folder: str | None, report: Report) -> DataSet | None:
    """Load the run's examples with their targets.

    None where they are not at hand or have changed, which the report then says: as a note or as a fault.
    """
    spec, task = run.spec, get_task(run.task_name)
    if task.versioned != spec.task:
        report.notes.append(
            f"not scored anew: is of {spec.task}, installed is version {task.version}: "
            "`rpobench reparse` reads its answers as today"
        )
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
