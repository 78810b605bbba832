"""What the page shows of a section beside its tables: a long table with a row for each cell, and charts by task."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from markupsafe import Markup
from rpobench.leaderboard.breakdowns import Group, Kind, group_examples
from rpobench.leaderboard.cell_stats import CellStats, Sheet
from rpobench.leaderboard.columns import COLUMNS, Column, Line, Value, main_lines
from rpobench.leaderboard.costs import COSTS, Cost, cost_per_example, helped_and_harmed
from rpobench.leaderboard.html.charts import DOT, Point, Series, draw_bar, draw_chart, draw_whisker, pareto_front
from rpobench.leaderboard.rows import Cell

from rpobench.scoring.row_labels import row_identity
from rpobench.store.training_logs import TrainingLogs
from rpobench.terminal import escape_controls

PAGE_COLUMNS = tuple(column for column in COLUMNS if column.page_title)
MOST_GROUPS = 40  # rows of a breakdown; by user there may be thousands, for which a page is no place
MOST_FITS = 12  # whose training is drawn: each takes about 40 KB
MOST_POINTS = 100  # of a training curve

# What the training stages log both of steps and of evaluations, and its name on the page.
EVALUATION_FIGURES = {
    "loss": "loss",
    "reward": "reward",
    "parse_rate": "parse rate",
    "label_entropy": "label entropy in nats",
    "copied_share": "share copied from evidence",
    "length_ratio": "length against target",
    "facts_lost": "numbers and names lost",
}
TRAINING_FIGURES = {
    **EVALUATION_FIGURES,
    **{f"eval_{figure}": f"{name} on held-out users" for figure, name in EVALUATION_FIGURES.items()},
    "reward_std": "spread of the reward",
    "frac_reward_zero_std": "share of groups without variance",
    "kl": "KL",
    "completions/mean_length": "length in tokens",
}


@dataclass(frozen=True)
class PageRow:
    """One cell as a row of the page's long table.

    Attributes:
        number: The row's number, by which charts name it.
        line: The cell.
        texts: What stands in each column, by its name; a column without a value is missing.
        sort_values: What each column is sorted by, by its name.
        whisker: The interval as a picture.
        bar: The shares of examples helped and harmed as a picture.
    """

    number: int
    line: Line
    texts: Mapping[str, str]
    sort_values: Mapping[str, Value]
    whisker: Markup
    bar: Markup


@dataclass(frozen=True)
class Panel:
    """A chart with its kind: what stands on its x-axis. The page's switch of costs shows one kind of cost."""

    kind: str
    svg: Markup


@dataclass(frozen=True)
class Curve:
    """One logged figure of a training stage as a chart."""

    title: str
    svg: Markup


def row_numbers(sheet: Sheet) -> dict[str, int]:
    """Number the rows from 1, by label."""
    return {label: number for number, label in enumerate(sheet.cells, start=1)}


def page_rows(sheet: Sheet) -> list[PageRow]:
    """Every cell as a row, by task and label."""
    numbers = row_numbers(sheet)

    return [_page_row(line, numbers[line.label]) for line in main_lines(sheet)]


def task_panels(sheet: Sheet, task: str) -> list[Panel]:
    """Draw quality against each cost, profile size and k, where there is anything to draw."""
    charts = {str(cost): _chart_against_cost(sheet, task, cost) for cost in COSTS}
    charts["profile"] = _chart_against_profile(sheet, task)
    charts["k"] = _chart_against_k(sheet, task)

    return [Panel(kind, svg) for kind, svg in charts.items() if svg]


def break_down(sheet: Sheet, task: str, kind: Kind) -> dict[str, list[Group]]:
    """List the groups of every row by its label; at most `MOST_GROUPS` each, and no row without groups."""
    groups_by_label = {}
    for label, cell in _cells_by_label(sheet, task).items():
        groups = group_examples(cell.runs, kind)
        if groups:
            groups_by_label[label] = groups[:MOST_GROUPS]

    return groups_by_label


def training_curves(logs_by_fit: Mapping[str, TrainingLogs]) -> dict[str, list[Curve]]:
    """Draw a chart for each logged figure of each fit, by the fit's name.

    Only the first `MOST_FITS` are drawn, those of most stages before the others.
    """
    names = sorted(logs_by_fit, key=lambda name: len(logs_by_fit[name]), reverse=True)

    curves_by_fit = {}
    for number, name in enumerate(names[:MOST_FITS], start=1):
        curves = _fit_curves(name, logs_by_fit[name], number)
        if curves:
            curves_by_fit[name] = curves
    return curves_by_fit


def _cells_by_label(sheet: Sheet, task: str) -> dict[str, Cell]:
    return {label: row[task] for label, row in sheet.section.cells.items() if task in row}


def _page_row(line: Line, number: int) -> PageRow:
    """One cell as a row; a value that is not known has neither a text nor a value to sort by."""
    texts, sort_values = {}, {}
    for column in PAGE_COLUMNS:
        value = column.value_in(line)
        is_nan = isinstance(value, float) and math.isnan(value)
        if value is not None and not is_nan:
            texts[column.name] = _format(value, column)
            sort_values[column.name] = escape_controls(value) if isinstance(value, str) else value

    shares = helped_and_harmed(line.cell)
    bar = draw_bar(shares.helped, shares.harmed) if shares else Markup("")
    return PageRow(number, line, texts, sort_values, _whisker(line, number), bar)


def _format(value: Value, column: Column) -> str:
    return escape_controls(value) if isinstance(value, str) else format(value, column.form)


def _whisker(line: Line, number: int) -> Markup:
    interval = line.interval
    if interval is None or math.isnan(interval.low):
        return Markup("")

    value = line.stats.values[line.metric]
    bounds = _column_bounds(line.sheet, line.task)
    return draw_whisker(interval.low, value, interval.high, bounds=bounds, number=number)


def _column_bounds(sheet: Sheet, task: str) -> tuple[float, float]:
    """The lowest and highest end of an interval in a column."""
    metric = sheet.section.sample(task).main_metric
    ends = []
    for row in sheet.cells.values():
        if task in row:
            interval = row[task].intervals[metric]
            ends.append(row[task].values[metric])
            ends += [interval.low, interval.high] if interval else []

    finite = [end for end in ends if math.isfinite(end)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _point(x: float, stats: CellStats, metric: str) -> Point:
    value, interval = stats.values[metric], stats.intervals[metric]
    if interval is None or math.isnan(interval.low):
        return Point(x, value, value, value)

    return Point(x, value, interval.low, interval.high)


def _chart_against_cost(sheet: Sheet, task: str, cost: Cost) -> Markup | None:
    """Quality against a cost, with the rows that no other beats in both; None where no row's cost is known."""
    cost_by_label = {}
    for label, cell in _cells_by_label(sheet, task).items():
        value = cost_per_example(cell, cost)
        if value is not None:
            cost_by_label[label] = value
    if not any(cost_by_label.values()):
        return None

    sample, numbers = sheet.section.sample(task), row_numbers(sheet)
    metric = sample.main_metric
    series = []
    for label, value in cost_by_label.items():
        series.append(Series(numbers[label], label, [_point(value, sheet.cells[label][task], metric)]))

    points = [(row.points[0].x, row.points[0].y) for row in series]
    front = pareto_front(points, higher_is_better=sample.higher_is_better(metric))
    title = f"{task}: {metric} against {COSTS[cost]}"
    return draw_chart(title, series, x_label=COSTS[cost], y_label=f"{task} {metric}", front=front)


def _chart_against_profile(sheet: Sheet, task: str) -> Markup | None:
    """Quality by the size of the profile; None where all profiles are of one size class."""
    groups_by_label = {
        label: group_examples(cell.runs, "profile") for label, cell in _cells_by_label(sheet, task).items()
    }
    names = list(dict.fromkeys(group.name for group in chain.from_iterable(groups_by_label.values())))
    if len(names) < 2:
        return None

    metric, numbers = sheet.section.sample(task).main_metric, row_numbers(sheet)
    series = []
    for label, groups in groups_by_label.items():
        points = []
        for group in groups:
            value = group.metrics[metric]
            points.append(Point(names.index(group.name), value, value, value))
        series.append(Series(numbers[label], label, points, line=True))

    title = f"{task}: {metric} by number of profile items"
    return draw_chart(title, series, x_label="profile", y_label=f"{task} {metric}", x_names=names)


def _chart_against_k(sheet: Sheet, task: str) -> Markup | None:
    """Quality by the number of items shown: rows of one method that differ in k and nothing else are joined."""
    labels_by_k: dict[str, dict[int, str]] = {}
    for label, cell in _cells_by_label(sheet, task).items():
        identity = row_identity(cell.sample) | {"prompts": cell.sample.spec.comparable_prompts}
        k = identity.pop("k", None)
        if isinstance(k, int):
            labels_by_k.setdefault(json.dumps(identity, sort_keys=True), {})[k] = label

    families = [family for family in labels_by_k.values() if len(family) > 1]
    if not families:
        return None

    metric, numbers = sheet.section.sample(task).main_metric, row_numbers(sheet)
    series = []
    for family in families:
        points = {label: _point(k, sheet.cells[label][task], metric) for k, label in sorted(family.items())}
        first = next(iter(points))
        series.append(Series(numbers[first], first, list(points.values()), line=True, radius=0))
        series += [Series(numbers[label], label, [point]) for label, point in points.items()]

    return draw_chart(f"{task}: {metric} by k", series, x_label="k, items shown", y_label=f"{task} {metric}")


def _fit_curves(fit: str, logs: TrainingLogs, number: int) -> list[Curve]:
    """A chart for each figure that a stage of the fit logged at least twice."""
    curves = []
    for stage, steps in logs.items():
        for figure, name in TRAINING_FIGURES.items():
            points = [(step.step, step.figures[figure]) for step in steps if figure in step.figures]
            if len(points) > 1:
                title = f"{stage} {name}"
                curves.append(Curve(title, _draw_curve(f"{fit}: {title}", title, points, number)))
    return curves


def _draw_curve(title: str, figure: str, points: Sequence[tuple[float, float]], number: int) -> Markup:
    """One figure over the steps; of a long training every n-th step, and always the last."""
    stride = math.ceil(len(points) / MOST_POINTS)
    thinned = [*points[:-1:stride], points[-1]]

    series = Series(number, figure, [Point(x, y, y, y) for x, y in thinned], line=True, radius=DOT)
    return draw_chart(title, [series], x_label="step", y_label=figure)
