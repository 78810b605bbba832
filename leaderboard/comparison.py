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
from rpobench.leaderboard.rows import natural_order

from rpobench.registry import get_task
from rpobench.scoring.by_user import SumsByUser, sum_by_user
from rpobench.scoring.stats import ALPHA, MARGIN, Comparison, beats_all, effect_size, holm, wins
from rpobench.store.spec import RunSpec
from rpobench.store.stored_run import StoredRun
from rpobench.types import UNSCORED, RpobenchError


@dataclass(frozen=True)
class Equivalence:
    """Whether own and swapped profiles do equally well.

    Attributes:
        margin: The largest difference that counts as none, in the metric's own unit.
        p: The p-value of the test that the difference is smaller; None where it cannot be known.
        equivalent: Whether that p-value is small enough.
    """

    margin: float
    p: float | None
    equivalent: bool


@dataclass(frozen=True)
class Difference:
    """How much better the first is in one metric. A number that cannot be known is None.

    Attributes:
        difference: First minus second in the metric's own unit, turned so that positive is better.
        low: The lower end of its 95% interval, which excludes 0 exactly where p is at most 0.05.
        high: The upper end.
        users_alone: The interval over users with these seeds, as (low, high).
        seeds_alone: The interval over seeds with these users; None where there is one seed.
        p: The two-sided p-value, paired by user.
        detectable: The smallest true difference that these data would show.
        gain: The difference once more, under the name that reports use.
        equivalence: Only where both are one method, with own profiles here and swapped ones there.
    """

    difference: float
    low: float | None
    high: float | None
    users_alone: tuple[float, float] | None
    seeds_alone: tuple[float, float] | None
    p: float | None
    detectable: float | None
    gain: float
    equivalence: Equivalence | None


@dataclass(frozen=True)
class UserEffect:
    """A difference by user, of the per-example score averaged over seeds.

    Attributes:
        users: How many users there are.
        effect_size: Cohen's d of the paired differences; None where it cannot be known.
        wins: For how many users the first row scores higher.
        ties: For how many both score the same.
        losses: For how many the second row scores higher.
    """

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
    """The first row against every other.

    Attributes:
        first: The label of the first row.
        comparisons: Each rival on each shared task in each metric, rival after rival.
        verdicts: Whether the first row beats all of several rivals, task by task.
    """

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
        RpobenchError: There is nothing to compare, a run is unscored, or runs must not be compared.
    """
    for run in runs:
        if not run.is_scored:
            raise RpobenchError(f"{run.name}: {UNSCORED}: compare scored runs, chosen by --split or name")

    rows = arrange_rows(runs)
    first, *rivals = rows

    comparisons: list[MetricComparison] = []
    for rival in rivals:
        rival_comparisons: list[MetricComparison] = []
        for task in sorted(rows[first].keys() & rows[rival].keys(), key=natural_order):
            rival_comparisons += _compare_on_task(rows, first, rival, task)
        comparisons += _adjust_over_tasks(rival_comparisons)

    if not comparisons:
        raise RpobenchError(f"nothing to compare {first} with: name runs of two methods on the same task")

    return ComparisonReport(first, tuple(comparisons), tuple(_verdicts(comparisons)))


def _compare_on_task(rows: Rows, first: str, second: str, task: str) -> list[MetricComparison]:
    """Two rows in each metric of a task, the main one first."""
    first_runs, second_runs = match_seeds(rows[first][task], rows[second][task])
    if not first_runs:
        raise RpobenchError(f"{task}: {first} and {second} have several seeds and share none: run both with the same")

    run = next(iter(first_runs.values()))
    for other in (*first_runs.values(), *second_runs.values()):
        check_same_examples(task, run, other)

    unanswered = unanswered_by_label({first: first_runs, second: second_runs})
    warnings = [*comparison_warnings(first_runs, second_runs), *unanswered_warnings(unanswered)]
    by_user = _user_effect(first_runs, second_runs)

    comparisons = []
    for metric in run.metric_names:
        comparisons.append(
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
        )
    return comparisons


def _mean_value(runs: RunsBySeed, metric: str) -> float:
    return float(np.mean([run.result.metrics[metric] for run in runs.values()]))


def _difference(first: RunsBySeed, second: RunsBySeed, metric: str) -> Difference | None:
    comparison = compare_rows(first, second, metric)
    if comparison is None:
        return None

    run = next(iter(first.values()))
    interval = comparison.difference
    users_alone, seeds_alone = interval.by_source()

    return Difference(
        difference=interval.value,
        low=_none_if_nan(interval.low),
        high=_none_if_nan(interval.high),
        users_alone=users_alone,
        seeds_alone=seeds_alone,
        p=_none_if_nan(comparison.p),
        detectable=_none_if_nan(comparison.detectable),
        gain=interval.value,
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
    run, rival = next(iter(first.values())), next(iter(second.values()))
    if run.spec.profiles == rival.spec.profiles:
        return False

    return _specs_with_own_profiles(first) == _specs_with_own_profiles(second)


def _specs_with_own_profiles(runs: RunsBySeed) -> dict[int, RunSpec]:
    """The spec of each seed as it would be with own profiles."""
    return {seed: run.spec.model_copy(update={"profiles": "own"}) for seed, run in runs.items()}


def _user_effect(first: RunsBySeed, second: RunsBySeed) -> UserEffect | None:
    """The difference by user; None where a run keeps no measures."""
    first_sums = [sum_by_user(run) for run in first.values()]
    second_sums = [sum_by_user(run) for run in second.values()]
    if None in first_sums or None in second_sums:
        return None

    first_scores = _mean_scores(first_sums)
    second_scores = _mean_scores(second_sums)

    counts = wins(first_scores, second_scores)
    effect = _none_if_nan(effect_size(first_scores, second_scores))
    return UserEffect(len(first_scores), effect, counts.wins, counts.ties, counts.losses)


def _mean_scores(sums: Sequence[SumsByUser | None]) -> Any:
    """Each user's mean score, averaged over seeds: (users,)."""
    return np.mean([run_sums.scores for run_sums in sums if run_sums is not None], axis=0)


def _adjust_over_tasks(comparisons: Sequence[MetricComparison]) -> list[MetricComparison]:
    """The comparisons of one rival with `p_holm`: its main metrics are one family of tests, its others another."""
    p_holm_by_index: dict[int, float] = {}
    for is_main in (True, False):
        family = [index for index, comparison in enumerate(comparisons) if comparison.is_main is is_main]
        ps = [_nan_if_none(comparisons[index].p) for index in family]
        p_holm_by_index |= dict(zip(family, holm(ps), strict=True))

    adjusted = []
    for index, comparison in enumerate(comparisons):
        adjusted.append(replace(comparison, p_holm=_none_if_nan(p_holm_by_index[index])))
    return adjusted


def _verdicts(comparisons: Sequence[MetricComparison]) -> list[Verdict]:
    """Whether the first row beats every other in the main metric, task by task.

    A task has no verdict where it has one rival, where a rival could not be tested, and where a model left examples
    without answer.
    """
    verdicts = []
    for task in dict.fromkeys(comparison.task for comparison in comparisons):
        rivals = [comparison for comparison in comparisons if comparison.task == task and comparison.is_main]
        if len(rivals) < 2:
            continue

        ps, gains = [], []
        for rival in rivals:
            if rival.difference is not None and rival.difference.p is not None and not rival.unanswered:
                ps.append(rival.difference.p)
                gains.append(rival.difference.gain)

        if len(ps) == len(rivals):
            verdicts.append(Verdict(task, tuple(rival.second for rival in rivals), beats_all(ps, gains)))

    adjusted = []
    for verdict, p_holm in zip(verdicts, holm([verdict.p for verdict in verdicts]), strict=True):
        adjusted.append(replace(verdict, p_holm=p_holm, beats=p_holm <= ALPHA))
    return adjusted


def _fields(kind: type[Difference] | type[UserEffect], content: Difference | UserEffect | None) -> Mapping[str, Any]:
    """The fields of a dataclass with their values, None for each where there is no content."""
    if content is not None:
        values = asdict(content)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    return dict.fromkeys(field.name for field in fields(kind))


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
