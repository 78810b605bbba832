"""`rpobench pack`: finished runs as they are committed: predictions compressed, no weights, no drafts, no half runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rpobench.fit_cost import FIT_COST
from rpobench.registry import get_task
from rpobench.store import ResultStore, pack_lines, packed_twin, read_json, read_predictions, write_bytes
from rpobench.types import RpobenchError

SPEC, RESULT, ENVIRONMENT, PREDICTIONS = "spec.json", "result.json", "environment.json", "predictions.jsonl"


def pack(
    out: Annotated[Path, typer.Option(help="The folder to add them to, such as leaderboard/results.")],
    chosen: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Names or digests; all if none.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
) -> None:
    """Copy finished runs to be committed: predictions compressed; weights, drafts and licensed texts left out."""
    store = ResultStore(runs)
    if out.resolve() == runs.resolve():
        raise RpobenchError(f"--out {out}: is the folder of the runs: name another")
    folders = [store.find(name) for name in chosen or ()] or sorted(file.parent for file in runs.glob(f"*/{SPEC}"))
    if not folders:
        raise RpobenchError(f"--runs {runs}: no run in it: give the --out of `rpobench run`")
    for folder in folders:
        if reason := _unfit(folder):
            print(f"{folder.name}: left out: {reason}", file=sys.stderr)
        else:
            print(_copied(folder, out / folder.name))


def _unfit(folder: Path) -> str | None:
    """Why a run is not to be committed, or None."""
    if not (folder / RESULT).exists():
        return "not finished"
    result, task = _result(folder), read_json(folder / SPEC, "task")["task"].split("@")[0]
    if result.get("unanswered"):
        return f"{result['unanswered']} examples have no answer: the command that made it asks them again"
    if get_task(task).licensed and not result["synthetic"]:
        return f"its predictions hold texts of {task}'s licensed data"
    return None


def _result(folder: Path) -> dict[str, Any]:
    return read_json(folder / RESULT, "synthetic")


def _copied(folder: Path, target: Path) -> str:
    """The run and what its fit says of itself, put in place; the run's name.

    Raises RpobenchError where another result has that name already.
    """
    if (target / RESULT).exists():
        if _result(target) != _result(folder):
            raise RpobenchError(f"{target}: holds another result of this spec: move it away, or leave this run out")
        return folder.name
    fit = read_json(folder / SPEC).get("fit")
    if fit:
        _copy_fit(ResultStore(folder.parent).fit_folder(fit), ResultStore(target.parent).fit_folder(fit))
    held = folder / PREDICTIONS
    read_predictions(held)  # a torn or edited file is named before anything is written
    packed = packed_twin(held).read_bytes() if not held.exists() else pack_lines(held.read_bytes())
    write_bytes(packed_twin(target / PREDICTIONS), packed)
    for name in (SPEC, ENVIRONMENT, RESULT):  # the result last: a run that has one is whole
        write_bytes(target / name, (folder / name).read_bytes())
    return folder.name


def _copy_fit(fit: Path, target: Path) -> None:
    """Spec, cost and training logs. Weights are left out, and so are trajectories, which quote the training data."""
    for name in (SPEC, FIT_COST):
        if (fit / name).exists():
            write_bytes(target / name, (fit / name).read_bytes())
    for file in sorted((fit / "checkpoint").glob("*.jsonl")):
        if all(isinstance(entry, Mapping) and "step" in entry for entry in _entries(file)):
            write_bytes(target / "checkpoint" / file.name, file.read_bytes())


def _entries(file: Path) -> Iterator[Any]:
    return (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
