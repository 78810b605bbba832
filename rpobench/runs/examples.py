"""What a run did with each example, put together from the store and the data it was made on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.official.folder import is_world_name
from rpobench.data.sources import restore_source
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.registry import get_task
from rpobench.rpo.trajectories.file import TRAJECTORIES, StoredTrajectory, read_trajectories
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.predictions import read_predictions
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_fit_spec, read_result, read_run_spec
from rpobench.task.contract import Task
from rpobench.types import Example, Prediction, ProfileItem, RpobenchError

TEXTS = ("input", "evidence", "draft", "trajectory", "prediction", "target")  # left out of runs made with --no-text


def examples_of(runs: Path, run: str, *, example: str | None = None, data: str | None = None) -> list[dict[str, Any]]:
    """What a run did with each example, in the data's order. Raises RpobenchError for an unknown run or example."""
    folder = _finished(runs, run)
    found = [entry for entry in entries_of(folder, data=data) if example in (None, entry["example"])]
    if not found:
        some = next(iter(read_result(folder / "result.json")["scores"]), "")
        raise RpobenchError(f"--example {example}: {folder.name} has no such example, such as '{some}'")
    return found


def _finished(runs: Path, run: str) -> Path:
    folder = ResultStore(runs).find(run)
    if not (folder / "result.json").exists():
        raise RpobenchError(f"{folder}: the run is not finished: the command that began it continues it")
    return folder


def trained_on(runs: Path, run: str, *, example: str | None = None) -> tuple[Path, list[StoredTrajectory]]:
    """The file of the trajectories that a run's module learned, and its lines of the run's task.

    Raises:
        RpobenchError: the run trained nothing, its trajectories are not there, or they quote what may not be shown.
    """
    folder = _finished(runs, run)
    spec = read_run_spec(folder / "spec.json")
    if spec["fit"] is None:
        raise RpobenchError(f"--training: {spec['method']} was not trained")
    fit = ResultStore(folder.parent).fit_folder(spec["fit"])
    file = fit / "checkpoint" / TRAJECTORIES
    if not file.is_file():
        raise RpobenchError(f"{file}: not there: trained modules alone learn from one, and packed runs leave it out")
    task = get_task(spec["task"].split("@")[0])
    if _is_private(fit, task):
        raise RpobenchError(f"--training: texts that {fit.name} was trained on are not to be shown")
    trajectories = [stored for stored in read_trajectories(file) if stored.task_name == task.name]
    trajectories = [stored for stored in trajectories if example in (None, stored.example_id)]
    if not trajectories:
        named = f"--example {example}: " if example else ""
        raise RpobenchError(f"{named}{file} has no such trajectory of {task.name}")
    return file, trajectories


def _is_private(fit: Path, task: Task) -> bool:
    """Whether a fit learned a licensed task from a folder, or was used by a run that is marked by --no-text."""
    learned = read_fit_spec(fit / "spec.json")
    folders = [data for data in learned["data"] if not is_world_name(data["source"])]
    hidden = any(not one["texts"] for one in ResultStore(fit.parent.parent).results(fit=fit.name))
    return hidden or (task.licensed and bool(folders))


def entries_of(folder: Path, *, data: str | None = None) -> list[dict[str, Any]]:
    """Every example of a finished run. Raises RpobenchError where its data is not at hand, or is other data."""
    spec, result = read_run_spec(folder / "spec.json"), read_result(folder / "result.json")
    task = get_task(spec["task"].split("@")[0])
    loaded = _loaded(task.name, json.dumps(spec["data"]), result["n"], data)
    shown = [one.example for one in loaded.labelled]
    if spec["profiles"] == "swapped":
        shown = swap_profiles(shown, seed=spec["seed"])
    targets = {one.example.id: one.target for one in loaded.labelled}
    predictions = read_predictions(folder / "predictions.jsonl")
    budget = spec["config"].get("max_prompt_tokens")
    found = [
        entry(task, one, predictions[one.id], targets[one.id], result["scores"][one.id], budget=budget) for one in shown
    ]
    return found if result["texts"] else without_texts(found)


def stored_entries(folder: Path) -> list[dict[str, Any]]:
    """The same from the store alone: predictions, drafts and scores, but no input, evidence and target."""
    result, held = read_result(folder / "result.json"), read_predictions(folder / "predictions.jsonl")
    users = {key: one["user"] for key, one in (result.get("examples") or {}).items()}
    found = [
        _facts(held[key], users.get(key, ""), score) | {"input": None, "evidence": None, "target": None}
        for key, score in result["scores"].items()
    ]
    return found if result["texts"] else without_texts(found)


def without_texts(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries with every text left out; ids, scores and lengths stay."""
    return [{name: None if name in TEXTS else value for name, value in entry.items()} for entry in entries]


def entry(
    task: Task, example: Example, prediction: Prediction, target: str, score: float, *, budget: int | None
) -> dict[str, Any]:
    """One example's entry; `budget` is what evidence was cut to, in tokens of the official prompt."""
    items = shown_items(task, example, prediction, budget)
    known = {item.id for item in example.profile}
    foreign = [f"{key} (not in this profile)" for key in prediction.evidence if key not in known]
    return _facts(prediction, example.user_id, score) | {
        "input": task.content(example),
        "evidence": [*map(task.show, items), *foreign],
        "target": target,
    }


def shown_items(task: Task, example: Example, prediction: Prediction, budget: int | None) -> list[ProfileItem]:
    """The profile items that a prediction was shown, best first, cut as they were where the run says to which budget.

    Of items that share an id each is taken once, in the profile's order.
    """
    by_id: dict[str, list[ProfileItem]] = {}
    for item in example.profile:
        by_id.setdefault(item.id, []).append(item)
    items = [by_id[key].pop(0) for key in prediction.evidence if by_id.get(key)]
    if not prediction.cut or budget is None:
        return items
    return list(fit_evidence(task, example, items, budget, reference_tokenizer()).items)


def _facts(prediction: Prediction, user: str, score: float) -> dict[str, Any]:
    return {
        "example": prediction.example_id,
        "user": user,
        "draft": prediction.draft,
        "trajectory": prediction.trajectory,
        "prediction": prediction.text,
        "score": score,
        "failure": prediction.failure,
        "cut": prediction.cut,
        "length": len(prediction.text),
    }


@lru_cache(maxsize=2)
def _loaded(task_name: str, data_spec: str, count: int, folder: str | None) -> DataSet:
    """The run's scored examples; the last two sets are kept, since runs on one task follow each other."""
    spec = json.loads(data_spec)
    source = restore_source(spec, count, folder)
    loaded = source.load_scored(get_task(task_name))
    if loaded.sha256 != spec["sha256"]:
        raise RpobenchError(f"--data {source.data}: is other data than the run saw (sha256 differs)")
    return loaded
