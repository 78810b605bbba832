"""A run's predictions in the official submission form."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rpobench.data.official.golds import official_name
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError


def submission(runs: Path, chosen: list[str]) -> bytes:
    """The zip of these runs, each of another task: `LaMP_3.json` with `{"task", "golds": [{"id", "output"}]}`.

    The same runs give the same bytes. Raises RpobenchError for a run that is unknown, unfinished or a control, and
    where two runs are of one task.
    """
    held: dict[str, str] = {}
    for name in chosen:
        run = ResultStore(runs).find(name)
        if not run.has_own_profiles:
            raise RpobenchError(f"{run.name}: has other users' profiles: the control is no submission")
        task = official_name(run.task_name)
        if task in held:
            raise RpobenchError(f"{run.name}: a second run of {task}: a submission holds one of each task")
        golds = [{"id": key, "output": prediction.text} for key, prediction in run.predictions().items()]
        held[task] = json.dumps({"task": task, "golds": golds})
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as zipped:
        for task, text in sorted(held.items()):
            zipped.writestr(ZipInfo(f"{task}.json"), text, ZIP_DEFLATED)
    return packed.getvalue()
