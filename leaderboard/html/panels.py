"""What the page shows of a section beside its tables: one line a cell, and charts task by task."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from markupsafe import Markup
from rpobench.leaderboard.breakdowns import KINDS, Group, groups
from rpobench.leaderboard.cell_stats import Figures, Sheet
from rpobench.leaderboard.html.charts import DOT, Point, Series, bar, chart, pareto, whisker
from rpobench.leaderboard.rows import Cell, identity_of

from rpobench.scoring.stats import Interval
from rpobench.terminal import escape_controls

COSTS = {"tokens": "tokens an example", "seconds": "seconds an example", "dollars": "dollars an example"}
USERS = 40  # lines of a breakdown by user; a page is no place for thousands
FITS = 12  # whose training is drawn: each takes about 40 KB
STEPS = 100  # points of a training curve


@dataclass(frozen=True)
class Line:
    """One cell as a row of the page's long table; `sort` holds what a column is sorted by."""

    number: int
    label: str
    task: str
    figures: Figures
    shown: Mapping[str, str]
    sort: Mapping[str, float | str]
    whisker: Markup
    bar: Markup


@dataclass(frozen=True)
class Panel:
    """A chart with its heading; `kind` tells the switch of costs which to show."""

    kind: str
    svg: Markup


def numbers(sheet: Sheet) -> dict[str, int]:
    """The number of each row, by which charts name it."""
    return {label: place for place, label in enumerate(sheet.cells, start=1)}


def lines(sheet: Sheet) -> list[Line]:
    """Every cell, by task and row."""
    numbered = numbers(sheet)
    return [
        _line(sheet, label, task, numbered[label]) for task in sheet.section.tasks for label in sheet.cells
        if task in sheet.cells[label]
    ]  # fmt: skip


def cost(cell: Cell, name: str) -> float | None:
    """What one example cost, the mean over seeds; None where nobody knows."""
    found = []
    for run in cell.own.values():
        if run.get("imported"):
            return None
        usage = run["usage"]
        total = {
            "tokens": usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0),
            "seconds": run["seconds"],
            "dollars": usage.get("dollars"),
        }[name]
        if total is None:
            return None
        found.append(total / run["n"])
    return fmean(found)


def helped(cell: Cell) -> tuple[float, float] | None:
    """Shares of examples that score above and below the base model's draft; None where not every one has a draft."""
    better = worse = count = 0
    for run in cell.own.values():
        for key, example in run.get("examples", {}).items():
            if "draft" not in example["references"]:
                return None
            change = run["scores"][key] - example["references"]["draft"]
            better, worse, count = better + (change > 1e-12), worse + (change < -1e-12), count + 1
    return (better / count, worse / count) if count else None


def panels(sheet: Sheet, task: str) -> list[Panel]:
    """Quality against each cost, profile size and k, where there is anything to draw."""
    cells = {label: row[task] for label, row in sheet.section.cells.items() if task in row}
    found = [Panel(name, svg) for name in COSTS if (svg := _against_cost(sheet, task, cells, name))]
    for kind, svg in (("profile", _against_profile(sheet, task, cells)), ("k", _against_k(sheet, task, cells))):
        if svg:
            found.append(Panel(kind, svg))
    return found


def breakdown(sheet: Sheet, task: str, by: str) -> dict[str, list[Group]]:
    """The groups of every row; at most `USERS` groups each."""
    cells = {label: row[task] for label, row in sheet.section.cells.items() if task in row}
    found = {label: groups(list(cell.own.values()), by)[:USERS] for label, cell in cells.items()}
    return {label: held for label, held in found.items() if held} if by in KINDS else {}


def curves(fits: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> dict[str, list[tuple[str, Markup]]]:
    """By fit, a title and a chart for each logged figure: `fits[name]["sft loss"]` is (step, value) pairs.

    Only the first `FITS` are drawn, those of most stages before the others.
    """
    ordered = sorted(fits.items(), key=lambda fit: -len({figure.split()[0] for figure in fit[1]}))
    drawn = {
        fit: [
            (figure, _curve(f"{fit}: {figure}", figure, points, place))
            for figure, points in logged.items() if len(points) > 1
        ]
        for place, (fit, logged) in enumerate(islice(ordered, FITS), start=1)
    }  # fmt: skip
    return {fit: held for fit, held in drawn.items() if held}


def _curve(title: str, figure: str, points: Sequence[tuple[float, float]], place: int) -> Markup:
    every = math.ceil(len(points) / STEPS)
    kept = [*points[:-1:every], points[-1]]
    series = Series(place, figure, [Point(x, y, y, y) for x, y in kept], line=True, radius=DOT)
    return chart(title, [series], x_label="step", y_label=figure)


def _line(sheet: Sheet, label: str, task: str, number: int) -> Line:
    cell, figures = sheet.section.cells[label][task], sheet.cells[label][task]
    run = cell.any
    main, counted = run["main_metric"], helped(cell)
    value, found = figures.values[main], figures.intervals[main]
    facts: dict[str, Any] = {
        "method": escape_controls(label), "task": escape_controls(task), "value": value, "gain": figures.gain,
        "normalized": figures.normalized, "strict": figures.strict[main],
        "p": figures.p_holm, "rank": sheet.ranks[label],
        "helped": counted and counted[0], "harmed": counted and counted[1], "n": run["n"], "seeds": len(cell.own),
        "training": run.get("fit_seconds"), **{name: cost(cell, name) for name in COSTS},
    }  # fmt: skip
    forms = {"gain": "+z.3f", "p": ".3g", "rank": ".1f", "helped": ".0%", "harmed": ".0%", "tokens": ".0f",
             "seconds": ".2f", "dollars": ".4f", "training": ".0f", "n": "d", "seeds": "d"}  # fmt: skip
    known = {name: fact for name, fact in facts.items() if fact is not None and fact == fact}
    shown = {
        name: fact if isinstance(fact, str) else format(fact, forms.get(name, "z.3f")) for name, fact in known.items()
    }
    shown["metric"] = main
    return Line(
        number, label, task, figures, shown, known,
        _whisker(value, found, _bounds(sheet, task), number),
        bar(*counted) if counted else Markup(""),
    )  # fmt: skip


def _whisker(value: float, found: Interval | None, bounds: tuple[float, float], number: int) -> Markup:
    if found is None or math.isnan(found.low):
        return Markup("")
    return whisker(found.low, value, found.high, bounds=bounds, number=number)


def _bounds(sheet: Sheet, task: str) -> tuple[float, float]:
    """Lowest and highest end of an interval in a column."""
    main, ends = sheet.section.sample(task)["main_metric"], []
    for row in sheet.cells.values():
        if task in row:
            found = row[task].intervals[main]
            ends += [row[task].values[main], *((found.low, found.high) if found else ())]
    known = [end for end in ends if math.isfinite(end)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def _point(x: float, figures: Figures, metric: str) -> Point:
    value, found = figures.values[metric], figures.intervals[metric]
    if found is None or math.isnan(found.low):
        return Point(x, value, value, value)
    return Point(x, value, found.low, found.high)


def _against_cost(sheet: Sheet, task: str, cells: Mapping[str, Cell], name: str) -> Markup | None:
    known = {label: spent for label, cell in cells.items() if (spent := cost(cell, name)) is not None}
    if not any(known.values()):
        return None
    run, numbered = sheet.section.sample(task), numbers(sheet)
    main = run["main_metric"]
    series = [
        Series(numbered[label], label, [_point(spent, sheet.cells[label][task], main)])
        for label, spent in known.items()
    ]
    front = pareto(
        [(one.points[0].x, one.points[0].y) for one in series], higher_is_better=run["directions"][main] == "max"
    )
    title = f"{task}: {main} against {COSTS[name]}"
    return chart(title, series, x_label=COSTS[name], y_label=f"{task} {main}", front=front)


def _against_profile(sheet: Sheet, task: str, cells: Mapping[str, Cell]) -> Markup | None:
    held = {label: groups(list(cell.own.values()), "profile") for label, cell in cells.items()}
    names = list(dict.fromkeys(group.name for parts in held.values() for group in parts))
    if len(names) < 2:
        return None
    main, numbered = sheet.section.sample(task)["main_metric"], numbers(sheet)

    def point(group: Group) -> Point:
        value = group.metrics[main]
        return Point(names.index(group.name), value, value, value)

    series = [Series(numbered[label], label, [point(one) for one in parts], line=True) for label, parts in held.items()]
    title = f"{task}: {main} by number of profile items"
    return chart(title, series, x_label="profile", y_label=f"{task} {main}", x_names=names)


def _against_k(sheet: Sheet, task: str, cells: Mapping[str, Cell]) -> Markup | None:
    """Rows of one method that differ in k and nothing else, joined."""
    families: dict[str, dict[int, str]] = {}
    for label, cell in cells.items():
        identity = identity_of(cell.any) | {"prompts": cell.any["spec"].get("prompts")}
        k = identity.pop("k", None)
        if isinstance(k, int):
            families.setdefault(json.dumps(identity, sort_keys=True), {})[k] = label
    swept = [family for family in families.values() if len(family) > 1]
    if not swept:
        return None
    main, numbered = sheet.section.sample(task)["main_metric"], numbers(sheet)
    series = []
    for family in swept:
        points = {label: _point(k, sheet.cells[label][task], main) for k, label in sorted(family.items())}
        first = next(iter(points))
        series.append(Series(numbered[first], first, list(points.values()), line=True, radius=0))
        series += [Series(numbered[label], label, [point]) for label, point in points.items()]
    return chart(f"{task}: {main} by k", series, x_label="k, items shown", y_label=f"{task} {main}")
