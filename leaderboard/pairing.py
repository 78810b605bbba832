"""Runs of two rows held against each other: which seeds are paired, and their examples as sums by user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rpobench.leaderboard.rows import Cell

from rpobench.scoring.by_user import Array, SumsByUser, sum_by_user
from rpobench.scoring.stats import Comparison, Interval, compare
from rpobench.store.stored_run import StoredRun

RunsBySeed = Mapping[int, StoredRun]


@dataclass(frozen=True)
class StackedRuns:
    """Runs on the same examples, one a seed.

    Attributes:
        any_run: The sums of any of them, which knows the task.
        sums: What the metrics are made of, summed over each user's examples: (seeds, users, summands).
    """

    any_run: SumsByUser
    sums: Array

    def metric(self, name: str) -> Callable[[Array], Any]:
        """The function from sums, shape (..., summands), to the values of a metric, shape (...)."""
        return self.any_run.metric(name)


def stack_runs(runs: Sequence[StoredRun]) -> StackedRuns | None:
    """Sum runs on the same examples by user; None where one of them keeps no measures."""
    sums = []
    for run in runs:
        run_sums = sum_by_user(run)
        if run_sums is None:
            return None
        sums.append(run_sums)

    return StackedRuns(sums[0], np.stack([run_sums.sums for run_sums in sums]))


def compare_rows(first: RunsBySeed, second: RunsBySeed, metric: str) -> Comparison | None:
    """Compare two rows in a metric on the same examples.

    Args:
        first: Runs by seed.
        second: Runs by seed. Seeds are paired as `match_seeds` says.
        metric: The metric.

    Returns:
        The comparison, whose difference is positive where the first is better, whatever the metric's direction; None
        where a side has no run or keeps no measures.
    """
    return _compare_sides(*match_seeds(first, second), metric)


def match_seeds(first: RunsBySeed, second: RunsBySeed) -> tuple[dict[int, StoredRun], dict[int, StoredRun]]:
    """Choose the runs that are held against each other.

    Returns:
        All of them where a side has one seed, which is then taken as it is for all of the other's. Those of shared
        seeds where both sides have several.
    """
    if 1 in (len(first), len(second)):
        return dict(first), dict(second)

    seeds = sorted(first.keys() & second.keys())
    return {seed: first[seed] for seed in seeds}, {seed: second[seed] for seed in seeds}


def gain_interval(cell: Cell) -> Interval | None:
    """The interval of the personalization gain, turned so that positive is better; None where it is not known."""
    seeds = cell.own_runs.keys() & cell.swapped_runs.keys()
    own_runs = {seed: cell.own_runs[seed] for seed in seeds}
    swapped_runs = {seed: cell.swapped_runs[seed] for seed in seeds}

    comparison = _compare_sides(own_runs, swapped_runs, cell.sample.main_metric)
    return comparison.difference if comparison else None


def _compare_sides(first: RunsBySeed, second: RunsBySeed, metric: str) -> Comparison | None:
    """First minus second in a metric, turned so that positive is better; None where it is not known."""
    sides = _stack_pairs(first, second)
    if sides is None:
        return None

    first_runs, second_runs = sides
    task = first_runs.any_run.task
    if task.metrics[metric] == "min":
        first_runs, second_runs = second_runs, first_runs

    lowest, highest = task.metric_limits(metric)
    span = highest - lowest
    return compare(
        first_runs.metric(metric),
        first_runs.sums,
        second_runs.sums,
        weights=first_runs.any_run.counts,
        limits=(-span, span),
    )


def _stack_pairs(first: RunsBySeed, second: RunsBySeed) -> tuple[StackedRuns, StackedRuns] | None:
    """Both sides with equally many seeds; a side with one seed is repeated."""
    first_runs = [first[seed] for seed in sorted(first)]
    second_runs = [second[seed] for seed in sorted(second)]
    if not first_runs or not second_runs:
        return None

    if len(first_runs) == 1:
        first_runs *= len(second_runs)
    elif len(second_runs) == 1:
        second_runs *= len(first_runs)

    first_sums, second_sums = stack_runs(first_runs), stack_runs(second_runs)
    if first_sums is None or second_sums is None:
        return None

    return first_sums, second_sums
