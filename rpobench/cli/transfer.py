"""`rpobench transfer`: trained modules on the drafts of base models they were not trained on, as a matrix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpobench.cli.log import stamp_log
from rpobench.cli.options import (
    AsJson,
    Data,
    Holdout,
    Limit,
    NoSwap,
    Out,
    PresetName,
    Settings,
    Tasks,
    TrainLimit,
    parse_settings,
    report_interrupt,
)
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.runs.summary import RunSummary
    from rpobench.runs.transfer import TransferCell


def transfer(
    train_on: Annotated[str, typer.Option(help="Base models, comma-separated; a module is trained on each.")],
    apply_to: Annotated[str, typer.Option(help="Base models, comma-separated; whose drafts are rewritten.")],
    task: Tasks = "all",
    method: Annotated[str, typer.Option(help="A method that trains.")] = "rpo",
    data: Data = "synth",
    split: Annotated[str, typer.Option(help="dev or test.")] = "dev",
    set_: Settings = None,
    preset: PresetName = None,
    limit: Limit = None,
    train_limit: TrainLimit = None,
    seed: Annotated[int, typer.Option(min=0, help="Of training, sampling and swapping.")] = 0,
    holdout: Holdout = None,
    no_swap: NoSwap = False,
    out: Out = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Apply trained modules to other base models' drafts, and print the matrix."""
    from rpobench.runs.plan import make_plan
    from rpobench.runs.transfer import transfer as run_transfer

    home_models = _parse_models("--train-on", train_on)
    drafting_models = _parse_models("--apply-to", apply_to)

    what = {"method": method, "task": task, "settings": parse_settings(set_ or []), "preset": preset, "seeds": (seed,)}
    examples: dict[str, Any] = {"data": data, "split": split, "limit": limit, "train_limit": train_limit}
    plan = make_plan(**what, **examples, holdout=holdout, swap=not no_swap, out=out)

    with stamp_log(), report_interrupt():
        cells = run_transfer(plan, home_models, drafting_models)

    if as_json:
        print(json.dumps([cell.to_json() for cell in cells]))
    else:
        _print_matrix(cells, home_models, drafting_models)


def _parse_models(option: str, text: str) -> list[str]:
    models = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(models):
        raise RpobenchError(f"{option} {text}: give base models, comma-separated")
    return models


def _print_matrix(cells: Sequence[TransferCell], home_models: Sequence[str], drafting_models: Sequence[str]) -> None:
    """Print a row for each task and module and a column for each base model; tab-separated where it is piped."""
    from rpobench.terminal import TableColumn, escape_controls, is_terminal, plain_text, print_columns

    headings = ["task", "metric", "trained on", *drafting_models]
    rows = _make_rows(cells, home_models, drafting_models)

    if not is_terminal():
        for row in (headings, *rows):
            print("\t".join(map(escape_controls, row)))
        return

    columns = []
    for position, heading in enumerate(headings):
        texts = [plain_text(row[position]) for row in rows]
        is_name = position < 3
        columns.append(TableColumn(heading, texts, 0 if is_name else position, is_number=not is_name, is_name=is_name))

    caption = "applied to the drafts of each base model: the module's score (the drafts' own)"
    print_columns(columns, caption=caption)


def _make_rows(
    cells: Sequence[TransferCell], home_models: Sequence[str], drafting_models: Sequence[str]
) -> list[list[str]]:
    """Make a row for each task and module: task, metric, the module's base model, its scores on each model's drafts."""
    summaries = {(cell.summary.task, cell.trained_on, cell.applied_to): cell.summary for cell in cells}
    tasks = dict.fromkeys(cell.summary.task for cell in cells)

    rows = []
    for task in tasks:
        for home_model in home_models:
            runs = [summaries[task, home_model, drafting_model] for drafting_model in drafting_models]
            rows.append([task, runs[0].metric_label, home_model, *map(_format_scores, runs)])
    return rows


def _format_scores(run: RunSummary) -> str:
    """Write the module's score, and in brackets that of the drafts it started from, where it reads drafts."""
    if run.main_score is None:
        return "unscored"
    module_score = f"{run.main_score:.3f}"
    if run.references.draft is None:
        return module_score
    return f"{module_score} ({run.references.draft:.3f})"
