"""Predictions made elsewhere, as a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.registry import get_task
from rpobench.runs.environment import describe_environment, hash_prompts
from rpobench.runs.former_readings import refuse_former_reading
from rpobench.runs.removal import put_rest_aside
from rpobench.scoring.result import describe_origin, is_licensed, score
from rpobench.store.files import write_json
from rpobench.store.predictions import append_predictions, packed_path, read_predictions
from rpobench.store.result_store import ResultStore, claim
from rpobench.store.results import SCHEMA_VERSION
from rpobench.store.spec import DataSpec, RunSpec
from rpobench.task.contract import Task
from rpobench.types import Prediction, RpobenchError


def make_import_spec(method: str, base_model: str, seed: int, data: DataSet, data_spec: DataSpec) -> RunSpec:
    """Make the spec of a run whose predictions were made elsewhere.

    Args:
        method: What the run's row is called in tables.
        base_model: The identity of the base model, as far as it is known.
        seed: The seed that the predictions were made with.
        data: The examples that were answered.
        data_spec: What names these examples.

    Returns:
        The spec, with those of earlier versions in `former`.
    """
    spec = RunSpec(
        task=get_task(data.task).versioned,
        data=data_spec,
        method=method,
        version="imported",
        config={},
        knobs={},
        base_model=base_model,
        seed=seed,
    )

    by_name = spec.with_folder_names({})
    return spec.model_copy(update={"former": (by_name, by_name.as_recorded())})


def write_import(out: Path, spec: RunSpec, data: DataSet, answers: Mapping[str, str], preds: Path) -> Path:
    """Score answers that were made elsewhere, and write them as a finished run.

    Args:
        out: The folder of runs.
        spec: What describes the run.
        data: The examples that were answered, with their targets.
        answers: The answers by example id.
        preds: The file that they were read from, for errors.

    Returns:
        The folder of the run. One that holds the same predictions already is left as it is.

    Raises:
        RpobenchError: The ids are not those of the data, a metric is not finite, or the run's folder holds other
            predictions. Or an earlier version of the task scored the same import.
    """
    example_ids = data.ids
    _check_ids(set(example_ids), set(answers), preds)
    predictions = {}
    for example_id in example_ids:
        predictions[example_id] = Prediction(example_id, answers[example_id], answers[example_id])

    task = get_task(data.task)
    scores = score(task, data, predictions)
    _check_metrics(scores["metrics"], preds)

    store = ResultStore(out)
    put_rest_aside(store)
    folder = store.run_folder(spec)
    if not folder.exists():
        refuse_former_reading(store, task, spec)
    if (folder / "result.json").exists():
        _check_same_predictions(folder, predictions)
    else:
        _write_run(folder, spec, task, data, predictions, scores)
    return folder


def _write_run(
    folder: Path,
    spec: RunSpec,
    task: Task,
    data: DataSet,
    predictions: Mapping[str, Prediction],
    scores: Mapping[str, Any],
) -> None:
    """Write the files of a finished run; `result.json` comes last, since it is what makes the run finished."""
    claim(folder, spec)

    predictions_file = folder / "predictions.jsonl"
    for leftover in (predictions_file, packed_path(predictions_file)):  # of an import that was killed
        leftover.unlink(missing_ok=True)
    append_predictions(predictions_file, list(predictions.values()))

    environment = describe_environment(data_sha256=data.sha256, hashes=hash_prompts(task, data))
    write_json(folder / "environment.json", environment)

    facts: dict[str, Any] = {
        "seconds": 0.0,
        "fit_seconds": None,
        "texts": not is_licensed(task, data),
        "schema": SCHEMA_VERSION,
        "synthetic": data.synthetic,
        "imported": True,
    }
    write_json(folder / "result.json", {**scores, **facts, **describe_origin(data)})


def _check_same_predictions(folder: Path, predictions: Mapping[str, Prediction]) -> None:
    """Refuse to import other predictions under the name of a run that is there."""
    if read_predictions(folder / "predictions.jsonl") != predictions:
        raise RpobenchError(f"{folder}: holds other predictions of that name: choose another --name or --seed")


def _check_ids(example_ids: set[str], answer_ids: set[str], preds: Path) -> None:
    missing_ids, unknown_ids = example_ids - answer_ids, answer_ids - example_ids

    for ids, fault in ((missing_ids, "lacks"), (unknown_ids, "has an unknown")):
        if ids:
            raise RpobenchError(f"{preds}: {fault} id {min(ids)!r} ({len(ids)} in all): use --data and --limit")


def _check_metrics(metrics: Mapping[str, float], preds: Path) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise RpobenchError(f"{preds}: the {name} of its outputs is {value}: one of them is too large a number")
