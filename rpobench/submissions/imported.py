"""Predictions made elsewhere, as a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.data.dataset import DataSet
    from rpobench.store.spec import RunSpec


def write_import(out: Path, spec: RunSpec, data: DataSet, answers: dict[str, str], preds: Path) -> Path:
    """Score the answers, by example id, and write them as a finished run; its folder.

    Raises RpobenchError where the ids are not those of the data, and where the name already has other predictions.
    """
    from rpobench.registry import get_task
    from rpobench.runs.environment import describe_environment, hash_prompts
    from rpobench.scoring.result import score
    from rpobench.store.files import write_json
    from rpobench.store.predictions import append_predictions, packed_path, read_predictions
    from rpobench.store.result_store import ResultStore, claim
    from rpobench.store.results import SCHEMA_VERSION

    wanted = {one.example.id for one in data.labelled}
    for lacking, what in ((wanted - answers.keys(), "lacks"), (answers.keys() - wanted, "has an unknown")):
        if lacking:
            raise RpobenchError(f"{preds}: {what} id {min(lacking)!r} ({len(lacking)} in all): use --data and --limit")
    task, folder = get_task(data.task), ResultStore(out).run_folder(spec)
    made = {key: Prediction(key, answers[key], answers[key]) for key in (one.example.id for one in data.labelled)}
    scored = score(task, data, made)
    for metric, value in scored["metrics"].items():
        if not math.isfinite(value):
            raise RpobenchError(f"{preds}: the {metric} of its outputs is {value}: one of them is too large a number")
    if (folder / "result.json").exists():
        if read_predictions(folder / "predictions.jsonl") != made:
            raise RpobenchError(f"{folder}: holds other predictions of that name: choose another --name or --seed")
        return folder
    claim(folder, spec)
    held = folder / "predictions.jsonl"
    for left in (held, packed_path(held)):  # by an import that was killed
        left.unlink(missing_ok=True)
    append_predictions(held, list(made.values()))
    write_json(
        folder / "environment.json", describe_environment(data_sha256=data.sha256, hashes=hash_prompts(task, data))
    )
    result = scored | {
        "seconds": 0.0, "fit_seconds": None, "texts": data.synthetic or not task.licensed, "schema": SCHEMA_VERSION,
        "synthetic": data.synthetic, "imported": True,
    }  # fmt: skip
    write_json(folder / "result.json", result)
    return folder
