"""Paired comparison of chosen runs: how large a difference is, how sure, and who beats all rivals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from rpobench.leaderboard.comparability import (
    Rows,
    arrange_rows,
    check_same_examples,
    comparison_warnings,
    unanswered_by_label,
    unanswered_warnings,
)
from rpobench.leaderboard.pairing import RunsBySeed, compare_rows, match_seeds
from rpobench.leaderboard.rows import improvement, natural_order

from rpobench.registry import get_task
from rpobench.scoring.by_user import SumsByUser, sum_by_user
from rpobench.scoring.stats import ALPHA, MARGIN, Comparison, beats_all, effect_size, holm, wins
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class Equivalence:
    """Whether own and swapped profiles do equally well, up to a margin in the metric's own unit."""

    margin: float
    p: float | None
    equivalent: bool


@dataclass(frozen=True)
class Difference:
    """First minus second in one metric. A number that cannot be known is None.

    Attributes:
        difference: Its value, in the metric's own unit.
        low: The lower end of its 95% interval.
        high: The upper end.
        p: The two-sided p-value, paired by user.
        detectable: The smallest true difference that these data would show.
        gain: The difference, turned so that positive is better.
        equivalence: Only where both are one method, with own profiles here and swapped ones there.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    detectable: float | None
    gain: float
    equivalence: Equivalence | None


@dataclass(frozen=True)
class UserEffect:
    """A difference by user, of the per-example score averaged over seeds: effect size, and who is better off."""

    users: int
    effect_size: float | None
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class MetricComparison:
    """One metric of two rows on one task.

    Attributes:
        first: The label of the row that is compared.
        second: The label of its rival.
        task: The task.
        metric: The metric.
        is_main: Whether it is the task's main metric.
        higher_is_better: Whether more of it is better.
        first_value: The first row's value, the mean over seeds.
        second_value: The second row's.
        n: Examples.
        seeds: The number of seeds of either row.
        unanswered: Examples of both rows that a model gave no answer to.
        warnings: What makes the comparison unfair.
        difference: None where a row keeps no measures to test with.
        by_user: None in the same case.
        p_holm: The p-value, adjusted over the tasks of these two rows.
    """

    first: str
    second: str
    task: str
    metric: str
    is_main: bool
    higher_is_better: bool
    first_value: float
    second_value: float
    n: int
    seeds: tuple[int, int]
    unanswered: int
    warnings: tuple[str, ...]
    difference: Difference | None
    by_user: UserEffect | None
    p_holm: float | None = None

    @property
    def p(self) -> float | None:
        """The p-value; None where it cannot be known."""
        return self.difference.p if self.difference else None

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints; what is not known is null."""
        return {
            "metric": self.metric,
            "main": self.is_main,
            "higher_is_better": self.higher_is_better,
            "first_value": self.first_value,
            "second_value": self.second_value,
            "n": self.n,
            "seeds": list(self.seeds),
            **_fields(UserEffect, self.by_user),
            **_fields(Difference, self.difference),
            "first": self.first,
            "second": self.second,
            "task": self.task,
            "warnings": list(self.warnings),
            "unanswered": self.unanswered,
            "p_holm": self.p_holm,
        }


@dataclass(frozen=True)
class Verdict:
    """Whether the first row beats every rival on a task in the main metric.

    Attributes:
        task: The task.
        rivals: The labels of the rivals.
        p: The largest p-value; 1 where one difference has the wrong direction.
        p_holm: The same, adjusted over the tasks.
        beats: Whether the adjusted p-value is small enough.
    """

    task: str
    rivals: tuple[str, ...]
    p: float
    p_holm: float = math.nan
    beats: bool = False

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {**asdict(self), "rivals": list(self.rivals)}


@dataclass(frozen=True)
class ComparisonReport:
    """The first row against every other, task by task."""

    first: str
    comparisons: tuple[MetricComparison, ...]
    verdicts: tuple[Verdict, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "first": self.first,
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "beats_all": [verdict.to_json() for verdict in self.verdicts],
        }


def compare_runs(runs: Sequence[StoredRun]) -> ComparisonReport:
    """Compare the first run's row with every other, task by task.

    Args:
        runs: The runs, of two rows at least.

    Returns:
        A comparison for each rival, task and metric, and a verdict for each task.

    Raises:
        RpobenchError: There is nothing to compare, or runs must not be compared.
    """
    rows = arrange_rows(runs)
    first, *rivals = rows

    comparisons: list[MetricComparison] = []
    for rival in rivals:
        tasks = sorted(rows[first].keys() & rows[rival].keys(), key=natural_order)
        of_rival = [comparison for task in tasks for comparison in _compare_on_task(rows, first, rival, task)]
        comparisons += _adjust_over_tasks(of_rival)
    if not comparisons:
        raise RpobenchError(f"nothing to compare {first} with: name runs of two methods on the same task")
    return ComparisonReport(first, tuple(comparisons), tuple(_verdicts(comparisons)))


def _compare_on_task(rows: Rows, first: str, second: str, task: str) -> list[MetricComparison]:
    first_runs, second_runs = match_seeds(rows[first][task], rows[second][task])
    if not first_runs:
        raise RpobenchError(f"{task}: {first} and {second} have several seeds and share none: run both with the same")

    run = next(iter(first_runs.values()))
    for other in (*first_runs.values(), *second_runs.values()):
        check_same_examples(task, run, other)

    unanswered = unanswered_by_label({first: first_runs, second: second_runs})
    warnings = [*comparison_warnings(first_runs, second_runs), *unanswered_warnings(unanswered)]
    by_user = _user_effect(first_runs, second_runs)
    return [
        MetricComparison(
            first=first,
            second=second,
            task=task,
            metric=metric,
            is_main=metric == run.main_metric,
            higher_is_better=run.higher_is_better(metric),
            first_value=_mean_value(first_runs, metric),
            second_value=_mean_value(second_runs, metric),
            n=run.result.n,
            seeds=(len(first_runs), len(second_runs)),
            unanswered=sum(unanswered.values()),
            warnings=tuple(warnings),
            difference=_difference(first_runs, second_runs, metric),
            by_user=by_user,
        )
        for metric in run.metric_names
    ]


def _mean_value(runs: RunsBySeed, metric: str) -> float:
    return float(np.mean([run.result.metrics[metric] for run in runs.values()]))


def _difference(first: RunsBySeed, second: RunsBySeed, metric: str) -> Difference | None:
    comparison = compare_rows(first, second, metric)
    if comparison is None:
        return None

    run, interval = next(iter(first.values())), comparison.difference
    return Difference(
        difference=interval.value,
        low=_none_if_nan(interval.low),
        high=_none_if_nan(interval.high),
        p=_none_if_nan(comparison.p),
        detectable=_none_if_nan(comparison.detectable),
        gain=improvement(run, metric, interval.value),
        equivalence=_equivalence(run, comparison) if _is_control(first, second) else None,
    )


def _equivalence(run: StoredRun, comparison: Comparison) -> Equivalence:
    """Whether own and swapped profiles do equally well, up to `MARGIN` of the metric's range."""
    span = get_task(run.task_name).metric_range
    margin = MARGIN * span
    p = comparison.equivalence(margin, span)
    return Equivalence(margin, _none_if_nan(p), bool(p <= ALPHA))


def _is_control(first: RunsBySeed, second: RunsBySeed) -> bool:
    """Whether both are the same method, trained and asked alike, with own profiles here and swapped ones there."""
    profiles = {run.spec.profiles for run in (next(iter(first.values())), next(iter(second.values())))}
    specs = [
        {seed: run.spec.model_copy(update={"profiles": "own"}) for seed, run in runs.items()}
        for runs in (first, second)
    ]
    return len(profiles) == 2 and specs[0] == specs[1]


def _user_effect(first: RunsBySeed, second: RunsBySeed) -> UserEffect | None:
    first_sums = [sum_by_user(run) for run in first.values()]
    second_sums = [sum_by_user(run) for run in second.values()]
    if None in first_sums or None in second_sums:
        return None

    first_scores, second_scores = _mean_scores(first_sums), _mean_scores(second_sums)
    counts = wins(first_scores, second_scores)
    effect = _none_if_nan(effect_size(first_scores, second_scores))
    return UserEffect(len(first_scores), effect, counts.wins, counts.ties, counts.losses)


def _mean_scores(sums: Sequence[SumsByUser | None]) -> Any:
    """Each user's mean score, averaged over seeds: (users,)."""
    return np.mean([run_sums.scores for run_sums in sums if run_sums is not None], axis=0)


def _adjust_over_tasks(comparisons: Sequence[MetricComparison]) -> list[MetricComparison]:
    """With `p_holm`: main metrics are one family, the others of the same rival another."""
    p_holm_by_index: dict[int, float] = {}
    for is_main in (True, False):
        family = [index for index, comparison in enumerate(comparisons) if comparison.is_main is is_main]
        ps = [_nan_if_none(comparisons[index].p) for index in family]
        p_holm_by_index |= dict(zip(family, holm(ps), strict=True))
    return [
        replace(comparison, p_holm=_none_if_nan(p_holm_by_index[index])) for index, comparison in enumerate(comparisons)
    ]


def _verdicts(comparisons: Sequence[MetricComparison]) -> list[Verdict]:
    """By task: whether the first row beats every other in the main metric.

    Nothing of a task with a rival that could not be tested, or where a model left examples without answer.
    """
    verdicts = []
    for task in dict.fromkeys(comparison.task for comparison in comparisons):
        rivals = [comparison for comparison in comparisons if comparison.task == task and comparison.is_main]
        tested = [rival.difference for rival in rivals if rival.p is not None and not rival.unanswered]
        if len(rivals) > 1 and len(tested) == len(rivals):
            ps = [_nan_if_none(rival.p) for rival in rivals]
            gains = [difference.gain for difference in tested if difference is not None]
            verdicts.append(Verdict(task, tuple(rival.second for rival in rivals), beats_all(ps, gains)))

    adjusted = holm([verdict.p for verdict in verdicts])
    return [
        replace(verdict, p_holm=p_holm, beats=p_holm <= ALPHA)
        for verdict, p_holm in zip(verdicts, adjusted, strict=True)
    ]


def _fields(kind: type[Difference] | type[UserEffect], content: Difference | UserEffect | None) -> Mapping[str, Any]:
    """The fields of a dataclass with their values, None for each where there is no content."""
    return asdict(content) if content is not None else dict.fromkeys(field.name for field in fields(kind))


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
