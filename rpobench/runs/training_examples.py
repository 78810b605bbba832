"""What a run's module learned from: the trajectories of its fit, where they may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rpobench.data.official.folder import is_world_name
from rpobench.registry import get_task
from rpobench.rpo.trajectories.file import TRAJECTORIES, StoredTrajectory, read_trajectories
from rpobench.runs.environment import ENVIRONMENT, FREE_TASKS
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


def find_training_trajectories(
    runs: Path, run_name: str, *, example_id: str | None = None
) -> tuple[Path, list[StoredTrajectory]]:
    """Find the trajectories that a run's module learned.

    Args:
        runs: The folder of the runs.
        run_name: The run's name or digest.
        example_id: The only example to show; None for all.

    Returns:
        The file that holds them, and those of the run's task.

    Raises:
        RpobenchError: The run trained nothing, its trajectories are not there, or they quote what may not be shown.
    """
    run = ResultStore(runs).find(run_name)
    if run.fit_folder is None:
        raise RpobenchError(f"--training: {run.spec.method} was not trained")

    file = run.fit_folder / "checkpoint" / TRAJECTORIES
    if not file.is_file():
        raise RpobenchError(f"{file}: not there: trained modules alone learn from one, and packed runs leave it out")

    task = get_task(run.task_name)
    if _is_private(run, task):
        raise RpobenchError(f"--training: texts that {run.spec.fit} was trained on are not to be shown")

    trajectories = []
    for trajectory in read_trajectories(file):
        if trajectory.task_name == task.name and example_id in (None, trajectory.example_id):
            trajectories.append(trajectory)

    if not trajectories:
        option = f"--example {example_id}: " if example_id else ""
        raise RpobenchError(f"{option}{file} has no such trajectory of {task.name}")
    return file, trajectories


def _is_private(run: StoredRun, task: Task) -> bool:
    """Say whether the texts that a run's fit learned from must not be shown.

    So it is where it learned a licensed task from a folder that has no licence of its own, or where --no-text marks any
    run that uses the fit.
    """
    if run.fit_spec is None:
        raise RpobenchError(f"{run.fit_folder}: has no spec.json that says what was learned: move the folder away")

    learned_from_folder = any(not is_world_name(data.source) for data in run.fit_spec.data)
    runs_of_fit = ResultStore(run.folder.parent).find_runs(fit=run.spec.fit)
    is_hidden = any(not other.result.texts for other in runs_of_fit)
    is_licensed = task.licensed and task.name not in _read_free_tasks(run)
    return is_hidden or (is_licensed and learned_from_folder)


def _read_free_tasks(run: StoredRun) -> Sequence[str]:
    """Read of which tasks the data that a run's fit learned from had a licence of its own; none of an earlier fit."""
    file = run.fit_folder / ENVIRONMENT if run.fit_folder else None
    free_tasks: Sequence[str] = read_json(file).get(FREE_TASKS, []) if file and file.exists() else []
    return free_tasks
