"""The table that ends `rpobench run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rpobench.runs.summary import RunSummary


def print_summary(runs: Sequence[RunSummary], *, synthetic: bool, out: Path) -> None:
    """Print one row a run on stdout; wide enough for its cells also where the output is piped.

    Args:
        runs: The finished runs.
        synthetic: Whether their data is synthetic, which the title says.
        out: The folder of the runs, for the caption.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)

    table = Table(title="synthetic, not LaMP" if synthetic else None, caption=escape(f"runs in {out}"))
    for heading in ("task", "method", "metric"):
        table.add_column(heading)

    # Methods with a gate keep some drafts as they are: only then there is a column for it.
    with_gate = any(run.kept_share is not None for run in runs)
    headings = [
        "draft",
        _choose_answer_heading(runs),
        "swapped",
        "gain",
        "best generic",
        "oracle",
        "n",
        "failed",
        "seconds",
    ]
    if with_gate:
        headings.append("drafts kept")
    for heading in headings:
        table.add_column(heading, justify="right")

    for run in runs:
        table.add_row(*_make_cells(run, with_gate=with_gate))
    console.print(table)


def _make_cells(run: RunSummary, *, with_gate: bool) -> list[str]:
    cells = [
        escape(run.task),
        escape(run.method),
        run.metric_label,
        _format_score(run.references.draft),
        f"[bold]{_format_score(run.main_score)}[/]",
        _format_score(run.references.swapped),
        _format_score(run.personalization_gain, signed=True),
        _format_score(run.references.best_generic),
        _format_score(run.references.oracle),
        str(run.n),
        str(run.failed),
        f"{run.seconds:.0f}",
    ]
    if with_gate:
        cells.append("-" if run.kept_share is None else f"{run.kept_share:.0%}")
    return cells


def _choose_answer_heading(runs: Sequence[RunSummary]) -> str:
    """Name the column of the methods' own scores: rewrites where all start from drafts and not all just keep them."""
    drafts = [run.references.draft for run in runs]
    scores = [run.main_score for run in runs]
    return "rewrite" if None not in drafts and drafts != scores else "score"


def _format_score(score: float | None, *, signed: bool = False) -> str:
    if score is None:
        return "-"
    return f"{score:+z.3f}" if signed else f"{score:z.3f}"
