"""`rpobench list`: the names of tasks, methods, models, retrievers and runs, and what there is to say of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import AsJson, Runs, check_choice, complete_choices
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.method.contract import Method
    from rpobench.store.stored_run import StoredRun
    from rpobench.terminal import TableColumn

GROUPS = ("tasks", "methods", "models", "retrievers", "presets")


def print_names(
    group: Annotated[
        str,
        typer.Argument(
            metavar="GROUP",
            help="tasks, methods, models, retrievers, presets or runs.",
            autocompletion=complete_choices(*GROUPS, "runs"),
        ),
    ],
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Name what there is: of methods what they train and where they apply, of runs their scores."""
    from rpobench import registry
    from rpobench.method.presets import PRESETS

    check_choice("list", group, (*GROUPS, "runs"))
    if group == "runs":
        stored_runs = _find_runs(runs)
        names = [run.name for run in stored_runs]
    elif group == "presets":
        names = list(PRESETS)
    else:
        names = registry.list_names(group)

    if as_json:
        print(json.dumps(names))
    elif group == "methods":
        print_table(_describe_methods())
    elif group == "presets":
        print_table(_describe_presets())
    elif group == "runs" and names:
        print_table(_describe_runs(stored_runs))
    elif names:
        print("\n".join(names))


def _find_runs(runs: Path) -> list[StoredRun]:
    from rpobench.store.result_store import ResultStore

    if not runs.is_dir():
        raise RpobenchError(f"--runs {runs}: no such folder: give the --out of `rpobench run`")
    return ResultStore(runs).find_runs()


def print_table(columns: Sequence[TableColumn]) -> None:
    """Print a table on a terminal; lines without headings elsewhere, the name first and tabs between."""
    from rpobench.terminal import is_terminal, print_columns

    if is_terminal():
        print_columns(columns)
        return

    for row in zip(*(column.cells for column in columns), strict=True):
        print("\t".join(cell.plain for cell in row))


def _describe_methods() -> list[TableColumn]:
    """What each method trains, where it applies and what it is; a broken one is named on stderr."""
    from rpobench.registry import load_working_methods
    from rpobench.terminal import TableColumn, plain_text

    methods_by_name = load_working_methods()
    methods = list(methods_by_name.values())
    return [
        TableColumn("method", [plain_text(name) for name in methods_by_name], is_name=True),
        TableColumn("trains", [plain_text(_say_training(method)) for method in methods]),
        TableColumn("applies to", [plain_text(_say_tasks(method)) for method in methods], priority=1),
        TableColumn("", [plain_text(_first_sentence(method)) for method in methods], priority=2),
    ]


def _describe_presets() -> list[TableColumn]:
    """What each preset shows of a history, how much it scores and trains on, and what it is for."""
    from rpobench.method.presets import PRESETS
    from rpobench.terminal import TableColumn, plain_text

    presets = list(PRESETS.values())
    return [
        TableColumn("preset", [plain_text(preset.name) for preset in presets], is_name=True),
        TableColumn("shows", [plain_text(preset.describe_evidence({})) for preset in presets], priority=1),
        TableColumn("examples", [plain_text(preset.describe_amount()) for preset in presets], priority=2),
        TableColumn("", [plain_text(preset.purpose) for preset in presets], priority=3),
    ]


def _say_training(method: type[Method]) -> str:
    if not method.trains:
        return "nothing"
    return "counts only" if method.only_counts else "its own model"


def _say_tasks(method: type[Method]) -> str:
    """Which of the official tasks a method with its defaults applies to, and what it needs of their data."""
    from rpobench.registry import get_retriever, get_task
    from rpobench.runs.plan import ALL_TASKS

    try:
        configured = method(method.Config())
        tasks = [name for name in ALL_TASKS if configured.applies_to(get_task(name))]
        needs_dates = any(get_retriever(name).needs_dates for name in configured.retrievers())
    except Exception as error:  # noqa: BLE001  # somebody else's method that does not work
        return f"broken ({type(error).__name__}: {error})"

    missing = [name for name in ALL_TASKS if name not in tasks]

    if not missing:
        words = "all tasks"
    elif len(missing) <= 2:
        words = f"all but {', '.join(missing)}"
    else:
        words = ", ".join(tasks) or "no LaMP task"

    return f"{words}, with dates" if needs_dates else words


def _first_sentence(method: type[Method]) -> str:
    lines = (method.__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""


def _format_score(run: StoredRun) -> str:
    """The main metric with three digits, or why there is none."""
    return "unscored" if run.main_value is None else f"{run.main_value:z.3f}"


def _describe_runs(runs: Sequence[StoredRun]) -> list[TableColumn]:
    """Name and score of each run, and what its row is called."""
    from rich.text import Text

    from rpobench.scoring.row_labels import label_runs
    from rpobench.terminal import TableColumn, plain_text

    return [
        TableColumn("run", [plain_text(run.name) for run in runs], is_name=True),
        TableColumn("metric", [plain_text(run.main_metric) for run in runs], priority=1),
        TableColumn("score", [Text(_format_score(run)) for run in runs], is_number=True),
        TableColumn("n", [Text(str(run.result.n)) for run in runs], priority=2, is_number=True),
        TableColumn("seed", [Text(str(run.spec.seed)) for run in runs], priority=3, is_number=True),
        TableColumn("profiles", [Text(run.spec.profiles) for run in runs], priority=5),
        TableColumn("row", [plain_text(label_runs([run])[0]) for run in runs], priority=4),
        TableColumn("base model", [plain_text(run.spec.base_model) for run in runs], priority=6),
    ]
