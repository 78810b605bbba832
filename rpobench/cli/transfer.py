"""`rpobench transfer`: trained modules on the drafts of base models they were not trained on, as a matrix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    settings,
    stoppable,
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
    preset: PresetName = "quick",
    limit: Limit = None,
    seed: Annotated[int, typer.Option(min=0, help="Of training, sampling and swapping.")] = 0,
    holdout: Holdout = None,
    no_swap: NoSwap = False,
    out: Out = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Apply trained modules to other base models' drafts, and print the matrix."""
    from rpobench.runs.plan import make_plan
    from rpobench.runs.transfer import transfer as run_transfer

    homes, others = _models("--train-on", train_on), _models("--apply-to", apply_to)
    plan = make_plan(
        method=method,
        task=task,
        data=data,
        split=split,
        settings=settings(set_ or []),
        preset=preset,
        limit=limit,
        seeds=(seed,),
        holdout=holdout,
        swap=not no_swap,
        out=out,
    )
    with stoppable():
        cells = run_transfer(plan, homes, others)
    if as_json:
        print(json.dumps([cell.as_json() for cell in cells]))
    else:
        _print(cells, homes, others)


def _models(option: str, text: str) -> list[str]:
    named = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(named):
        raise RpobenchError(f"{option} {text}: give base models, comma-separated")
    return named


def _print(cells: Sequence[TransferCell], homes: Sequence[str], others: Sequence[str]) -> None:
    """A row for each task and module, a column for each base model; tab-separated where the output is piped."""
    from rich.table import Table

    from rpobench.terminal import console, plain, printable

    runs = {(cell.summary.task, cell.trained_on, cell.applied_to): cell.summary for cell in cells}
    heads = ["task", "metric", "trained on", *others]
    rows = []
    for task in dict.fromkeys(cell.summary.task for cell in cells):
        for home in homes:
            scores = [_cell(runs[task, home, other]) for other in others]
            rows.append([task, _metric(runs[task, home, others[0]]), home, *scores])

    screen = console()
    if not screen.is_terminal:
        print("\n".join("\t".join(map(printable, row)) for row in (heads, *rows)))
        return
    table = Table(caption="applied to the drafts of each base model: the module's score (the drafts' own)")
    for place, head in enumerate(heads):
        table.add_column(plain(head), justify="right" if place > 2 else "left")
    for row in rows:
        table.add_row(*map(plain, row))
    screen.print(table)


def _metric(run: RunSummary) -> str:
    return f"{run.main_metric} {'↑' if run.higher_is_better else '↓'}"


def _cell(run: RunSummary) -> str:
    """The module's score, and in brackets that of the drafts it started from, where it reads drafts."""
    draft = run.references.draft
    return f"{run.main_score:.3f}" + (f" ({draft:.3f})" if draft is not None else "")
