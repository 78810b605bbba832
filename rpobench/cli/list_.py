"""`rpobench list`: the names of tasks, methods, models, retrievers and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import AsJson, Runs, check_choice
from rpobench.types import RpobenchError

GROUPS = ("tasks", "methods", "models", "retrievers")


def print_names(
    group: Annotated[str, typer.Argument(help="tasks, methods, models, retrievers or runs.")],
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Name what there is."""
    from rpobench import registry

    check_choice("list", group, (*GROUPS, "runs"))
    names = _list_runs(runs) if group == "runs" else registry.list_names(group)

    print(json.dumps(names) if as_json else "\n".join(names))


def _list_runs(runs: Path) -> list[str]:
    from rpobench.store.result_store import ResultStore

    if not runs.is_dir():
        raise RpobenchError(f"--runs {runs}: no such folder: give the --out of `rpobench run`")
    return [run.name for run in ResultStore(runs).find_runs()]
