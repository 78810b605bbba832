"""What stands in a table's cells: values, intervals, gains, tests against a chosen row, ranks, normalized scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from rpobench.leaderboard.rows import Cell, Result, Section, unanswered
from scipy.stats import rankdata

from rpobench.scoring.by_user import ByUser, by_user
from rpobench.scoring.stats import Comparison, Interval, compare, difference, holm, interval
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class Figures:
    """One cell. Intervals by metric (None for results of schema 1, which keep no measures).

    `gain` and its interval are positive where the own profile helps, and not known where a model left examples without
    answer, nor is `versus`; `normalized` is 0 at the best generic answers and
    1 at the oracle's; `versus` compares with the chosen row and `p_holm` is its p-value adjusted over the tasks.
    """

    values: Mapping[str, float]
    strict: Mapping[str, float]
    intervals: Mapping[str, Interval | None]
    gain: float | None
    gain_interval: Interval | None
    normalized: float | None
    versus: Comparison | None = None
    p_holm: float = math.nan


@dataclass(frozen=True)
class Sheet:
    """A section with the figures of all its cells; `against` is the row compared with, if it stands here."""

    section: Section
    cells: Mapping[str, Mapping[str, Figures]]
    against: str | None
    ranks: Mapping[str, float | None]


def sheets(sections: Sequence[Section], against: str | None = None) -> list[Sheet]:
    """The figures of every section. `against` is a row's label or its method; RpobenchError where no row is it."""
    made = []
    for section in sections:
        chosen = _chosen(section, against)
        cells = {label: _row(section, row, chosen) for label, row in section.cells.items()}
        made.append(Sheet(section, cells, chosen, _ranks(section)))
    if against and not any(sheet.against for sheet in made):
        known = sorted({label for section in sections for label in section.cells})
        raise RpobenchError(f"--against {against}: no such row, choose one of {', '.join(known)}")
    return made


def versus(first: Mapping[int, Result], second: Mapping[int, Result], metric: str) -> Comparison | None:
    """First minus second, each by seed, on the same examples; None where one keeps no measures.

    Seeds are paired as `matched` says. A side with one seed is taken as it is for all of the other's.
    """
    paired = _paired(*matched(first, second))
    return compare(paired[0].metric(metric), *paired[1:]) if paired else None


def matched(first: Mapping[int, Result], second: Mapping[int, Result]) -> tuple[dict[int, Result], dict[int, Result]]:
    """The runs, by seed, that are held against each other: all of them, or those of shared seeds where both sides have
    several and not the same ones."""
    seeds = first.keys() & second.keys()
    if 1 in (len(first), len(second)):
        return dict(first), dict(second)
    return {seed: first[seed] for seed in sorted(seeds)}, {seed: second[seed] for seed in sorted(seeds)}


def _paired(first: Mapping[int, Result], second: Mapping[int, Result]) -> tuple[ByUser, Any, Any] | None:
    """(any run's summary, sums of the first, sums of the second) as `versus` pairs them."""
    one, other = ([runs[seed] for seed in sorted(runs)] for runs in (first, second))
    if not one or not other:
        return None
    if 1 in (len(one), len(other)):
        seeds = max(len(one), len(other))
        one, other = (runs * seeds if len(runs) == 1 else runs for runs in (one, other))
    pairs = list(zip(one, other, strict=True))
    left, right = (_stacked([pair[side] for pair in pairs]) for side in (0, 1))
    return None if left is None or right is None else (left[0], left[1], right[1])


def _gain_interval(own: Mapping[int, Result], swapped: Mapping[int, Result], metric: str) -> Interval | None:
    """Of own minus swapped, turned so that positive is better."""
    paired = _paired(own, swapped)
    if not paired:
        return None
    found = difference(paired[0].metric(metric), *paired[1:])
    if better(next(iter(own.values())), metric, 1) > 0:
        return found
    return Interval(-found.value, -found.high, -found.low, found.spread)


def better(run: Result, metric: str, change: float) -> float:
    """A difference turned so that positive is better."""
    return change if run["directions"][metric] == "max" else -change


def _stacked(runs: Sequence[Result]) -> tuple[ByUser, Any] | None:
    """(any run's summary, (seeds, users, summands)) of runs on the same examples."""
    summed = [by_user(run) for run in runs]
    known = [one for one in summed if one is not None]
    if len(known) < len(summed):
        return None
    return known[0], np.stack([one.sums for one in known])


def _chosen(section: Section, against: str | None) -> str | None:
    if against is None or against in section.cells:
        return against
    same = [label for label, row in section.cells.items() if _method(row) == against]
    if len(same) > 1:
        raise RpobenchError(f"--against {against}: several rows, choose one of {', '.join(same)}")
    return same[0] if same else None


def _method(row: Mapping[str, Cell]) -> str:
    return str(next(iter(row.values())).any["spec"]["method"])


def _row(section: Section, row: Mapping[str, Cell], against: str | None) -> dict[str, Figures]:
    tests = {task: _against(section, cell, task, against) for task, cell in row.items()}
    adjusted = holm([test.p if test else math.nan for test in tests.values()])
    return {task: _cell(cell, tests[task], p_holm) for (task, cell), p_holm in zip(row.items(), adjusted, strict=True)}


def _against(section: Section, cell: Cell, task: str, against: str | None) -> Comparison | None:
    rival = section.cells[against].get(task) if against else None
    if rival is None or rival is cell or unanswered((*cell.own.values(), *rival.own.values())):
        return None
    return versus(cell.own, rival.own, cell.any["main_metric"])


def _cell(cell: Cell, test: Comparison | None, p_holm: float) -> Figures:
    run, main = cell.any, cell.any["main_metric"]
    stacked = _stacked(list(cell.own.values()))
    found: dict[str, Interval | None] = dict.fromkeys(run["directions"])
    if stacked:
        found = {metric: interval(stacked[0].metric(metric), stacked[1]) for metric in run["directions"]}
    both = cell.own.keys() & cell.swapped.keys()
    own, swapped = ({seed: runs[seed] for seed in both} for runs in (cell.own, cell.swapped))
    return Figures(
        values={metric: cell.value(metric) for metric in run["directions"]},
        strict={metric: fmean(one["strict"][metric] for one in cell.own.values()) for metric in run["directions"]},
        intervals=found,
        gain=cell.gain(),
        gain_interval=_gain_interval(own, swapped, main) if both and not cell.unanswered else None,
        normalized=normalized(run, cell.value(main)),
        versus=test,
        p_holm=p_holm,
    )


def normalized(run: Result, value: float) -> float | None:
    """A value of the main metric on the scale of fixed points: 0 is the best generic answers', 1 the oracle's."""
    main, known = run["main_metric"], run["references"]
    if not {"best_generic", "oracle"} <= known.keys():
        return None
    zero, one = known["best_generic"][main], known["oracle"][main]
    return float((value - zero) / (one - zero)) if one != zero else None


def _ranks(section: Section) -> dict[str, float | None]:
    """Rank in the main metric by row, 1 is best and ties share, averaged over tasks; None for rows with gaps."""
    ranks: dict[str, list[float]] = {label: [] for label in section.cells}
    for task in section.tasks:
        rows = {label: row[task] for label, row in section.cells.items() if task in row}
        main = section.sample(task)["main_metric"]
        gains = [better(section.sample(task), main, cell.value(main)) for cell in rows.values()]
        for label, rank in zip(rows, rankdata([-gain for gain in gains]), strict=True):
            ranks[label].append(float(rank))
    return {label: fmean(held) if len(held) == len(section.tasks) else None for label, held in ranks.items()}
