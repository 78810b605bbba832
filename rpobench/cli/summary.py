"""The table that ends `rpobench run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def gain(run: Mapping[str, Any]) -> float | None:
    """Personalization gain in the main metric: own minus swapped profiles, positive when the own profile is better."""
    swapped = run["references"]["swapped"]
    if swapped is None:
        return None
    own = run["metrics"][run["main_metric"]]
    return float(own - swapped if run["higher_is_better"] else swapped - own)


def print_summary(runs: Sequence[Mapping[str, Any]], *, synthetic: bool, out: Path) -> None:
    """Print one row a run on stdout; wide enough for its cells also where the output is piped."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    table = Table(title="synthetic, not LaMP" if synthetic else None, caption=escape(f"runs in {out}"))
    for name in ("task", "method", "metric"):
        table.add_column(name)
    gated = ("drafts kept",) if any("kept" in run for run in runs) else ()
    for name in ("draft", _answer(runs), "swapped", "gain", "best generic", "oracle", "n", "failed", "seconds", *gated):
        table.add_column(name, justify="right")
    for run in runs:
        references = run["references"]
        table.add_row(
            escape(run["task"]),
            escape(run["method"]),
            f"{run['main_metric']} {'↑' if run['higher_is_better'] else '↓'}",
            _figure(references["draft"]),
            f"[bold]{_figure(run['metrics'][run['main_metric']])}[/]",
            _figure(references["swapped"]),
            _figure(gain(run), signed=True),
            _figure(references["best_generic"]),
            _figure(references["oracle"]),
            str(run["n"]),
            str(run["failed"]),
            f"{run['seconds']:.0f}",
            *(f"{run['kept']:.0%}" if "kept" in run else "-" for _ in gated),
        )
    console.print(table)


def _answer(runs: Sequence[Mapping[str, Any]]) -> str:
    """What the methods' answers are called: rewrites where every one starts from a draft and does not just keep it."""
    drafts = [run["references"]["draft"] for run in runs]
    scores = [run["metrics"][run["main_metric"]] for run in runs]
    return "rewrite" if None not in drafts and drafts != scores else "score"


def _figure(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+z.3f}" if signed else f"{value:z.3f}"
