"""A run's predictions in the official submission form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rpobench.data.official.golds import official_name
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError


def build_submission(store_folder: Path, run_names: Sequence[str]) -> bytes:
    """Put runs of different tasks into an official zip.

    Args:
        store_folder: Where the runs lie.
        run_names: Which runs, one for each task, as `ResultStore.find` takes them.

    Returns:
        A zip with one file a task, such as `LaMP_3.json`: `{"task", "golds": [{"id", "output"}]}`. The same runs give
        the same bytes.

    Raises:
        RpobenchError: A run is unknown or unfinished, has swapped profiles or no texts, or two runs are of one task.
    """
    store = ResultStore(store_folder)
    json_by_task: dict[str, str] = {}

    for name in run_names:
        run = store.find(name)
        if not run.has_own_profiles:
            raise RpobenchError(f"{run.name}: has other users' profiles: the control is no submission")
        if run.result.scores_only:
            raise RpobenchError(f"{run.name}: its texts are withheld: export the run that it was packed from")

        task = official_name(run.task_name)
        if task in json_by_task:
            raise RpobenchError(f"{run.name}: a second run of {task}: a submission holds one of each task")

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
