"""`rpobench compare`: paired tests between finished runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import (
    CHOICE,
    SPLITS,
    ByBaseModel,
    ByData,
    ByLabel,
    ByMethod,
    BySettings,
    ByTask,
    RunsFolders,
    complete_choices,
    parse_settings,
    split_names,
)

if TYPE_CHECKING:
    from rpobench.leaderboard.comparison import ComparisonReport, MetricComparison

FIGURE_HEADS = ("first", "second", "difference", "95% interval", "p", "p Holm", "effect d", "users +/=/-", "detectable")

# Which figures a narrow window keeps longest; any other goes first.
PRIORITIES = {"difference": 1, "95% interval": 2, "p": 3, "p Holm": 4, "first": 5, "second": 6}


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Rows of reports, labels, methods or runs; the first against the rest."),
    ],
    runs: RunsFolders = None,
    method: ByMethod = None,
    task: ByTask = None,
    base_model: ByBaseModel = None,
    set_: BySettings = None,
    label: ByLabel = None,
    data: ByData = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="[train|dev|test]",
            help="Only runs on this split.",
            rich_help_panel=CHOICE,
            autocompletion=complete_choices(*SPLITS),
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only runs with this limit; 0: without.", rich_help_panel=CHOICE)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Paired tests by user: differences with intervals, p-values, effect sizes, and what these data could detect."""
    from rpobench.leaderboard.comparison import compare_runs

    from rpobench.scoring.selection import RunFilter, RunFolders, choose_runs

    run_filter = RunFilter(
        method=split_names(method),
        task=split_names(task),
        base_model=split_names(base_model),
        settings=parse_settings(set_ or []),
        label=split_names(label),
        data=split_names(data),
        split=split,
        limit=limit,
    )
    report = compare_runs(choose_runs(RunFolders(runs or [Path("runs")]), names, run_filter))
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        _print_report(report)


def _print_report(report: ComparisonReport) -> None:
    from rpobench.terminal import escape_controls, open_console, plain_text

    screen = open_console()
    for second in dict.fromkeys(comparison.second for comparison in report.comparisons):
        _print_rival([comparison for comparison in report.comparisons if comparison.second == second])

    for verdict in report.verdicts:
        words = "beats every rival" if verdict.beats else "does not beat every rival"
        ps = f"largest p {verdict.p:.4f}, Holm {verdict.p_holm:.4f}"
        screen.print(plain_text(f"{verdict.task}: {report.first} {words} ({ps})"))

    warnings = []
    for comparison in report.comparisons:
        warnings += [f"{comparison.task}: {warning}" for warning in comparison.warnings]
    for warning in dict.fromkeys(warnings):
        print(f"warning: {escape_controls(warning)}", file=sys.stderr)


def _print_rival(comparisons: Sequence[MetricComparison]) -> None:
    """Print the table of one rival, and what the table has no column for."""
    from rpobench.terminal import TableColumn, open_console, plain_text, print_columns

    rows = []
    for comparison in comparisons:
        rows.append([plain_text(cell) for cell in _cells(comparison)])
        for cell in rows[-1]:
            cell.stylize(_style(comparison))

    columns = []
    for position, head in enumerate(("task", "metric", *FIGURE_HEADS)):
        is_name = head in ("task", "metric")
        priority = 0 if is_name else PRIORITIES.get(head, len(PRIORITIES) + 1)
        columns.append(TableColumn(head, [row[position] for row in rows], priority, not is_name, is_name))

    title = f"{comparisons[0].first} against {comparisons[0].second}"
    print_columns(columns, title=title, caption=_caption(comparisons))

    screen = open_console()
    for line in _notes(comparisons):
        screen.print(plain_text(line))


def _style(comparison: MetricComparison) -> str:
    """Green where the first is surely better, red where it is surely worse."""
    if comparison.difference is None or comparison.p_holm is None or comparison.p_holm > 0.05:
        return ""

    return "green" if comparison.difference.gain > 0 else "red"


def _cells(comparison: MetricComparison) -> list[str]:
    """One comparison as a row of the table: task, metric, then `FIGURE_HEADS`."""
    arrow = "↑" if comparison.higher_is_better else "↓"
    difference, by_user = comparison.difference, comparison.by_user

    interval = "-"
    if difference is not None and difference.low is not None and difference.high is not None:
        interval = _range(difference.low, difference.high)

    return [
        comparison.task,
        f"{comparison.metric} {arrow}",
        f"{comparison.first_value:.3f}",
        f"{comparison.second_value:.3f}",
        _figure(difference.difference if difference else None, "+z.3f"),
        interval,
        _figure(comparison.p, ".4f"),
        _figure(comparison.p_holm, ".4f"),
        _figure(by_user.effect_size if by_user else None, "+z.2f"),
        f"{by_user.wins}/{by_user.ties}/{by_user.losses}" if by_user else "-",
        _figure(difference.detectable if difference else None, ".3f"),
    ]


def _range(low: float, high: float) -> str:
    """An interval in figures: one that excludes 0 gets the digits that show it."""
    excludes_zero = low > 0 or high < 0
    return f"{_bound(low, exact=excludes_zero)} to {_bound(high, exact=excludes_zero)}"


def _bound(value: float, *, exact: bool) -> str:
    text = f"{value:+z.3f}"
    return f"{value:+.1g}" if exact and not float(text) else text


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _caption(comparisons: Sequence[MetricComparison]) -> str:
    """What the table's figures rest on."""
    from rpobench.scoring.stats import F1_NOTE, FEW_USERS

    several_seeds = max(comparisons[0].seeds) > 1
    sources = "users and seeds vary" if several_seeds else "one seed, says nothing about other seeds"
    tasks = len({comparison.task for comparison in comparisons})
    caption = (
        f"positive: the first is better; interval and p are one test, by user; {sources}; Holm over {tasks} task(s)"
    )

    has_few = False
    for comparison in comparisons:
        if comparison.metric == "f1" and comparison.by_user and comparison.by_user.users < FEW_USERS:
            has_few = True

    return f"{caption}. {F1_NOTE}" if has_few else caption


def _notes(comparisons: Sequence[MetricComparison]) -> list[str]:
    """What the table has no column for: the equivalence of a control, and results too old to be tested."""
    notes = []
    for comparison in comparisons:
        name = f"{comparison.task} {comparison.metric}"

        if comparison.by_user is None:
            notes.append(
                f"{name}: not tested, schema 1 and other versions of the task keep no measures for it: run it again"
            )

        difference = comparison.difference
        if comparison.is_main and difference and difference.seeds_alone and difference.users_alone:
            users, seeds = _range(*difference.users_alone), _range(*difference.seeds_alone)
            notes.append(f"{name}: 95% interval over users alone {users}, over seeds alone {seeds}")

        equivalence = comparison.difference.equivalence if comparison.difference else None
        if equivalence:
            verdict = "the same" if equivalence.equivalent else "not shown to be the same"
            notes.append(
                f"{name}: own and swapped profiles are {verdict} within {equivalence.margin:g} "
                f"(equivalence p {_figure(equivalence.p, '.4f')})"
            )

    return notes
