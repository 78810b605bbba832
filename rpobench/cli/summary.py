"""The table that ends `rpobench run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.text import Text

from rpobench.runs.summary import RunSummary
from rpobench.scoring.row_labels import format_setting
from rpobench.terminal import TableColumn, escape_controls, plain_text, print_columns
from rpobench.types import UNSCORED

Cell = Callable[[RunSummary], str]


def print_summary(runs: Sequence[RunSummary], *, synthetic: bool, out: Path) -> None:
    """Print one row a run on stdout, the seeds of a method below each other. No cell is shortened.

    Args:
        runs: The finished runs.
        synthetic: Whether their data is synthetic, which the title says.
        out: The folder of the runs, for the caption.
    """
    first_places: dict[tuple[str, str], int] = {}
    for run in runs:
        first_places.setdefault((run.method, run.task), len(first_places))
    rows = sorted(runs, key=lambda run: first_places[run.method, run.task])

    print_columns(
        _make_columns(rows), title="synthetic, not LaMP" if synthetic else "", caption=_describe_basis(rows, out)
    )


def _make_columns(runs: Sequence[RunSummary]) -> list[TableColumn]:
    """The columns from left to right, each with its priority in a narrow window."""
    answers = _choose_answer_heading(runs)
    columns = [
        TableColumn("task", [plain_text(run.task) for run in runs], is_name=True),
        TableColumn("method", [plain_text(run.row or run.method) for run in runs], is_name=True),
        TableColumn("seed", [Text(_format_seed(run)) for run in runs], priority=1, is_number=True, is_name=True),
        *_make_draw_column(runs),
        TableColumn("metric", [plain_text(run.metric_label) for run in runs], priority=2),
        _make_numbers("draft", 4, lambda run: format_score(run.references.draft), runs),
        TableColumn(answers, [Text(_format_answers(run), "bold") for run in runs], is_number=True),
        _make_numbers("swapped", 5, lambda run: format_score(run.references.swapped), runs),
        _make_numbers("gain", 3, _format_gain, runs),
        _make_numbers("best generic", 8, lambda run: format_score(run.references.best_generic), runs),
        _make_numbers("oracle", 9, lambda run: format_score(run.references.oracle), runs),
        _make_numbers("n", 6, lambda run: str(run.n), runs),
        _make_numbers("failed", 7, lambda run: str(run.failed), runs),
        _make_numbers("seconds", 10, lambda run: f"{run.seconds:.0f}", runs),
    ]

    # Methods with a gate keep some drafts as they are: only then there is a column for it.
    if any(run.kept_share is not None for run in runs):
        columns.append(_make_numbers("drafts kept", 8, _format_kept_share, runs))
    return columns


def _make_draw_column(runs: Sequence[RunSummary]) -> list[TableColumn]:
    """The draws of users, where there are several."""
    draws = [run.draw for run in runs]
    if len(set(draws)) < 2:
        return []
    return [TableColumn("draw", [Text("-" if draw is None else str(draw)) for draw in draws], is_number=True)]


def _make_numbers(heading: str, priority: int, format_cell: Cell, runs: Sequence[RunSummary]) -> TableColumn:
    return TableColumn(heading, [Text(format_cell(run)) for run in runs], priority, is_number=True)


def _describe_basis(runs: Sequence[RunSummary], out: Path) -> str:
    """What the rows rest on: data, base model, the knobs of each method, and where the runs are."""
    lines = [*dict.fromkeys(f"data: {run.data}" for run in runs if run.data)]
    lines += dict.fromkeys(f"base model: {run.base_model}" for run in runs if run.base_model)

    for run in runs:
        if run.knobs:
            knobs = " ".join(format_setting(name, value) for name, value in run.knobs.items())
            lines.append(f"{run.method}: {knobs}")
    if any(run.unscored for run in runs):
        lines.append(f"{UNSCORED}; `rpobench export` makes LaMP's submission")
    if any(run.serves_every_seed for run in runs):
        lines.append("seed all: no lots are drawn, every seed answers alike")

    return "\n".join(map(escape_controls, dict.fromkeys([*lines, f"runs in {out}"])))


def _choose_answer_heading(runs: Sequence[RunSummary]) -> str:
    """Name the column of the methods' own scores: rewrites where all start from drafts and not all just keep them."""
    drafts = [run.references.draft for run in runs]
    scores = [run.main_score for run in runs]
    return "rewrite" if None not in drafts and drafts != scores else "score"


def _format_answers(run: RunSummary) -> str:
    return "unscored" if run.unscored else format_score(run.main_score)


def _format_seed(run: RunSummary) -> str:
    return "all" if run.serves_every_seed else str(run.seed)


def _format_gain(run: RunSummary) -> str:
    return format_score(run.personalization_gain, signed=True)


def _format_kept_share(run: RunSummary) -> str:
    return "-" if run.kept_share is None else f"{run.kept_share:.0%}"


def format_score(score: float | None, *, signed: bool = False) -> str:
    """Write a score with three digits, a dash where there is none; with a plus sign if it is `signed`."""
    if score is None:
        return "-"
    return f"{score:+z.3f}" if signed else f"{score:z.3f}"
