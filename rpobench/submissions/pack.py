"""Finished runs in the form in which they are committed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rpobench.store.files import disk_faults, read_json, write_bytes, write_json
from rpobench.store.predictions import pack_lines, packed_path
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

SPEC, RESULT, PREDICTIONS = "spec.json", "result.json", "predictions.jsonl"

COPIED = (SPEC, "environment.json", RESULT)

BUILDING = ".packing-"  # how a folder begins in which a run is put together; a kill may leave one


def _unfit(folder: Path, target: Path) -> str | None:
    """Why a run is not to be committed, or None. Raises RpobenchError for one that is not in order."""
    from rpobench.registry import get_task
    from rpobench.submissions.check import check

    if not (folder / RESULT).exists():
        return "not finished"
    (report,) = check(folder)
    if report.faults:
        raise RpobenchError(report.faults[0])
    run = ResultStore(folder.parent).load(folder)
    task = get_task(run.task_name)
    if run.result.unanswered:
        return f"{run.result.unanswered} examples have no answer: the command that made it asks them again"
    if task.licensed and not run.result.synthetic:
        return f"its predictions hold texts of {task.name}'s licensed data"
    if not run.result.texts and not target.exists():  # one that stands there already takes the mark over
        return "made with --no-text, and its predictions hold texts"
    return None


def _copy(folder: Path, target: Path) -> None:
    """The run, and what its fit says of itself, put in place whole.

    Raises RpobenchError where something else has that name already.
    """
    if target.exists():
        _agree(folder, target)
        return
    from rpobench.store.results import read_run_spec  # brings pydantic, which `--help` need not wait for

    fit = read_run_spec(folder / SPEC).fit
    if fit and not fit.isalnum():
        raise RpobenchError(f"{folder / SPEC}: fit {fit!r} is no digest, so it names no folder")
    parts = {name: (folder / name).read_bytes() for name in COPIED}
    held = folder / PREDICTIONS
    packed = pack_lines(held) if held.exists() else packed_path(held).read_bytes()
    with disk_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=BUILDING) as place:
            if fit:
                _copy_fit(ResultStore(folder.parent).fit_folder(fit), ResultStore(target.parent).fit_folder(fit), place)
            _put(Path(place) / "run", target, {**parts, packed_path(held).name: packed})


def _agree(folder: Path, target: Path) -> None:
    """Nothing, where the target is this run. A mark that its texts are not to be shown is taken over."""
    found, own = (read_json(place / RESULT) if (place / RESULT).exists() else {} for place in (target, folder))
    if {**found, "texts": None} != {**own, "texts": None}:
        raise RpobenchError(f"{target}: holds another result, or an unfinished one, of this spec: move it away")
    if found["texts"] and not own["texts"]:
        write_json(target / RESULT, own)


def _copy_fit(fit: Path, target: Path, place: str) -> None:
    """Spec, cost and training logs. Weights are left out, and so are trajectories, which quote the training data."""
    from rpobench.runs.fit_cost import FIT_COST  # brings pydantic, which `--help` need not wait for

    if not (fit / SPEC).exists():
        return  # of a run that came without its fit, as committed ones may
    told = {name: (fit / name).read_bytes() for name in (SPEC, FIT_COST) if (fit / name).exists()}
    if target.exists():
        if any(not (target / name).exists() or (target / name).read_bytes() != told[name] for name in told):
            raise RpobenchError(f"{target}: holds another training of this fit: move it away, or leave its runs out")
        return
    logs = {f"checkpoint/{file.name}": file.read_bytes() for file in sorted((fit / "checkpoint").glob("*.jsonl"))}
    _put(Path(place) / "fit", target, told | {name: content for name, content in logs.items() if _is_log(content)})


def _is_log(content: bytes) -> bool:
    """Whether every line is an object of numbers, one of them the step: such a file quotes no text."""
    try:
        lines = [json.loads(line) for line in content.split(b"\n") if line.strip()]
    except (ValueError, RecursionError):
        return False
    return all(isinstance(line, Mapping) and "step" in line and not any(map(_quotes, line.values())) for line in lines)


def _quotes(value: Any) -> bool:
    return not (value is None or isinstance(value, int | float))


def _put(half: Path, target: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into the folder `half`, then put it in place under its name."""
    for name, content in contents.items():
        write_bytes(half / name, content)
    target.parent.mkdir(parents=True, exist_ok=True)
    half.rename(target)
