"""What a run did with each example, put together from the store and the data it was made on."""

from __future__ import annotations

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
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import DataSpec
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task
from rpobench.types import Example, Prediction, ProfileItem, RpobenchError

TEXTS = ("input", "evidence", "draft", "trajectory", "prediction", "target")  # left out of runs made with --no-text


def examples_of(runs: Path, run: str, *, example: str | None = None, data: str | None = None) -> list[dict[str, Any]]:
    """What a run did with each example, in the data's order. Raises RpobenchError for an unknown run or example."""
    stored = ResultStore(runs).find(run)
    found = [entry for entry in entries_of(stored, data=data) if example in (None, entry["example"])]
    if not found:
        some = next(iter(stored.result.scores), "")
        raise RpobenchError(f"--example {example}: {stored.name} has no such example, such as '{some}'")
    return found


def trained_on(runs: Path, run: str, *, example: str | None = None) -> tuple[Path, list[StoredTrajectory]]:
    """The file of the trajectories that a run's module learned, and its lines of the run's task.

    Raises:
        RpobenchError: the run trained nothing, its trajectories are not there, or they quote what may not be shown.
    """
    stored = ResultStore(runs).find(run)
    if stored.fit_folder is None:
        raise RpobenchError(f"--training: {stored.spec.method} was not trained")
    file = stored.fit_folder / "checkpoint" / TRAJECTORIES
    if not file.is_file():
        raise RpobenchError(f"{file}: not there: trained modules alone learn from one, and packed runs leave it out")
    task = get_task(stored.task_name)
    if _is_private(stored, task):
        raise RpobenchError(f"--training: texts that {stored.spec.fit} was trained on are not to be shown")
    trajectories = [trajectory for trajectory in read_trajectories(file) if trajectory.task_name == task.name]
    trajectories = [trajectory for trajectory in trajectories if example in (None, trajectory.example_id)]
    if not trajectories:
        named = f"--example {example}: " if example else ""
        raise RpobenchError(f"{named}{file} has no such trajectory of {task.name}")
    return file, trajectories


def _is_private(run: StoredRun, task: Task) -> bool:
    """Whether a run's fit learned a licensed task from a folder, or was used by a run that is marked by --no-text."""
    if run.fit_spec is None:
        raise RpobenchError(f"{run.fit_folder}: has no spec.json that says what was learned: move the folder away")
    folders = [data for data in run.fit_spec.data if not is_world_name(data.source)]
    hidden = any(not other.result.texts for other in ResultStore(run.folder.parent).results(fit=run.spec.fit))
    return hidden or (task.licensed and bool(folders))


def entries_of(run: StoredRun, *, data: str | None = None) -> list[dict[str, Any]]:
    """Every example of a finished run. Raises RpobenchError where its data is not at hand, or is other data."""
    spec, scores = run.spec, run.result.scores
    task = get_task(run.task_name)
    loaded = _loaded(task.name, spec.data, run.result.n, data)
    shown = [one.example for one in loaded.labelled]
    if not run.has_own_profiles:
        shown = swap_profiles(shown, seed=spec.seed)
    targets = {one.example.id: one.target for one in loaded.labelled}
    predictions = run.predictions()
    budget = spec.config.get("max_prompt_tokens")
    found = [entry(task, one, predictions[one.id], targets[one.id], scores[one.id], budget=budget) for one in shown]
    return found if run.result.texts else without_texts(found)


def stored_entries(run: StoredRun) -> list[dict[str, Any]]:
    """The same from the store alone: predictions, drafts and scores, but no input, evidence and target."""
    predictions, users = run.predictions(), run.user_by_example or {}
    found = [
        _facts(predictions[key], users.get(key, ""), score) | {"input": None, "evidence": None, "target": None}
        for key, score in run.result.scores.items()
    ]
    return found if run.result.texts else without_texts(found)


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
def _loaded(task_name: str, spec: DataSpec, count: int, folder: str | None) -> DataSet:
    """The run's scored examples; the last two sets are kept, since runs on one task follow each other."""
    source = restore_source(spec, count, folder)
    loaded = source.load_scored(get_task(task_name))
    if loaded.sha256 != spec.sha256:
        raise RpobenchError(f"--data {source.data}: is other data than the run saw (sha256 differs)")
    return loaded
