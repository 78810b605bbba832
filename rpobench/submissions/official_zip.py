"""A run's predictions in the official submission form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rpobench.data.official.golds import official_name
from rpobench.runs.plan import ALL_TASKS
from rpobench.scoring.selection import RunFilter, RunFolders, choose_runs
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError


def choose_submitted(store_folder: Path, names: Sequence[str], split: str | None = None) -> list[StoredRun]:
    """Choose the runs of a submission.

    Args:
        store_folder: Where the runs lie.
        names: Rows as reports print them, labels, methods, or runs.
        split: Only runs on this split, of all that is not named as a run; None for any.

    Returns:
        The runs, in the order of the names.

    Raises:
        RpobenchError: A name means no finished run.
    """
    return choose_runs(RunFolders([store_folder]), names, RunFilter(split=split))


def describe_gaps(runs: Sequence[StoredRun]) -> list[str]:
    """Say what LaMP's scorer would miss in a submission.

    Args:
        runs: The runs that it is made of.

    Returns:
        A sentence for each run that left out examples or has some without answer, and one for tasks that are not there.
    """
    sentences = []
    for run in runs:
        if run.spec.data.limit or run.spec.data.sample or run.spec.data.holdout:
            sentences.append(f"{run.name}: holds {run.result.n} examples of its split; LaMP's scorer wants all of them")
        if run.unanswered_note:
            sentences.append(f"{run.name}: {run.unanswered_note}; they stand as empty texts")

    tasks = {run.task_name for run in runs}
    missing = [name for name in ALL_TASKS if name not in tasks]
    if missing:
        sentences.append(f"without {', '.join(missing)}: LaMP's scorer of all tasks together wants all seven")
    return sentences


def build_submission(runs: Sequence[StoredRun]) -> bytes:
    """Put runs of different tasks into an official zip.

    Args:
        runs: The runs, one for each task; they need not be scored.

    Returns:
        A zip with one file a task, such as `LaMP_3.json`: `{"task", "golds": [{"id", "output"}]}`. The same runs give
        the same bytes.

    Raises:
        RpobenchError: A run has swapped profiles or no texts, or two runs are of one task.
    """
    json_by_task: dict[str, str] = {}
    for run in runs:
        if not run.has_own_profiles:
            raise RpobenchError(f"{run.name}: has other users' profiles: the control is no submission")
        if run.result.scores_only:
            raise RpobenchError(f"{run.name}: its texts are withheld: export the run that it was packed from")

        task = official_name(run.task_name)
        if task in json_by_task:
            raise RpobenchError(
                f"{run.name}: a second run of {task}: a submission holds one of each task; choose by --split or name"
            )

        golds = []
        for example_id, prediction in run.predictions().items():
            golds.append({"id": example_id, "output": prediction.text})
        json_by_task[task] = json.dumps({"task": task, "golds": golds})

    return _zip(json_by_task)


def _zip(json_by_task: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for task, text in sorted(json_by_task.items()):
            archive.writestr(ZipInfo(f"{task}.json"), text, ZIP_DEFLATED)
    return buffer.getvalue()
