"""A run's predictions in the official submission form."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rpobench.data.official.golds import official_name
from rpobench.store.predictions import read_predictions
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError


def submission(runs: Path, chosen: list[str]) -> bytes:
    """The zip of these runs, each of another task: `LaMP_3.json` with `{"task", "golds": [{"id", "output"}]}`.

    The same runs give the same bytes. Raises RpobenchError for a run that is unknown, unfinished or a control, and
    where two runs are of one task.
    """
    from rpobench.store.results import read_run_spec  # brings pydantic, which `--help` need not wait for

    held: dict[str, str] = {}
    for name in chosen:
        folder = ResultStore(runs).find(name)
        if not (folder / "result.json").exists():
            raise RpobenchError(f"{folder}: the run is not finished: the command that began it continues it")
        spec = read_run_spec(folder / "spec.json")
        if spec["profiles"] != "own":
            raise RpobenchError(f"{folder.name}: has other users' profiles: the control is no submission")
        task = official_name(spec["task"].split("@")[0])
        if task in held:
            raise RpobenchError(f"{folder.name}: a second run of {task}: a submission holds one of each task")
        predictions = read_predictions(folder / "predictions.jsonl")
        golds = [{"id": key, "output": prediction.text} for key, prediction in predictions.items()]
        held[task] = json.dumps({"task": task, "golds": golds})
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as zipped:
        for task, text in sorted(held.items()):
            zipped.writestr(ZipInfo(f"{task}.json"), text, ZIP_DEFLATED)
    return packed.getvalue()
