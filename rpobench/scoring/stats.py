"""Is a difference real? Intervals and tests whose unit is the user, never the example.

All functions take sums by user (see `by_user`): an array of (seeds, users, summands) with the function from sums to a
metric. So macro-F1 and RMSE are computed anew on every draw. With one seed, users are the only source of variance, and
an interval says nothing about other seeds. With several seeds, users and seeds both are sources.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rpobench.scoring.exchange import ExchangeTest, exchange_users
from rpobench.scoring.spread import Spread

Array = NDArray[Any]
Metric = Callable[[Array], Array]  # (..., summands) to (...)
Limits = tuple[float, float]
Bounds = tuple[float, float]

UNLIMITED: Limits = (-math.inf, math.inf)

ALPHA = 0.05
POWER = 0.8
MARGIN = 0.02  # of a metric's range: swapped profiles that change less change nothing of note
RESAMPLES = 2000
PERMUTATIONS = 19_999
EQUAL = 1e-12  # scores that differ by no more are equal
BCA_USERS = 1000  # beyond them the jackknife of BCa costs users squared and corrects nothing visible
BATCH_CELLS = 5_000_000  # numbers of one batch of draws in memory
FEW_USERS = 100  # with fewer, intervals of macro-F1 over many labels miss too often (measured: docs/leaderboard.md)
F1_NOTE = (
    f"Intervals of f1 over fewer than {FEW_USERS} users are too narrow where labels are many: trust accuracy there."
)


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval and spread.

    Where there are fewer than two users, the bounds are nan and the spread is None. Where no user differs from another,
    the bounds alone are nan, since draws from such users would claim a certainty that nobody has.

    Attributes:
        value: The estimate.
        low: Lower bound.
        high: Upper bound.
        spread: Its variance by source.
        limits: The least and the largest value that there can be; no bound lies beyond them.
    """

    value: float
    low: float
    high: float
    spread: Spread | None
    limits: Limits = UNLIMITED

    def by_source(self) -> tuple[Bounds | None, Bounds | None]:
        """Return the 95% interval over users alone (with these seeds), and over seeds alone (with these users).

        Returns:
            Each as (low, high); None where the source does not vary.
        """
        if self.spread is None:
            return None, None

        of_users, of_seeds = self.spread.source_quantiles(1 - ALPHA / 2)
        return self._bounds(of_users), self._bounds(of_seeds)

    def _bounds(self, reach: float | None) -> Bounds | None:
        return clip(self.value - reach, self.value + reach, self.limits) if reach else None


@dataclass(frozen=True)
class Comparison:
    """First minus second in one metric, paired by user.

    Attributes:
        difference: The difference with its interval.
        p: Two-sided p-value; 1 where nothing differs.
    """

    difference: Interval
    p: float

    @property
    def detectable(self) -> float:
        """The smallest true difference that a test at `ALPHA` would find here with probability `POWER`.

        It is nan where no user differs from another, which tells nothing of how other users would.
        """
        spread = self.difference.spread
        if not spread or not spread.se:
            return math.nan

        return spread.quantile(1 - ALPHA / 2) + spread.quantile(POWER)

    def equivalence(self, margin: float, span: float) -> float:
        """Test whether the absolute difference is below a margin.

        Two one-sided tests (Schuirmann 1987, J Pharmacokin Biopharm 15:657). Where no user differs from another there
        is no spread to test with. The p-value is then the chance not to have met any of the users who would make the
        difference that large, if each differed by the whole range of the metric.

        Args:
            margin: The margin, in units of the metric.
            span: The range of the metric.

        Returns:
            The p-value; nan where there is no spread at all.
        """
        spread = self.difference.spread
        if not spread:
            return math.nan

        distance = margin - abs(self.difference.value)
        if spread.se:
            return spread.tail(distance)
        return (1 - max(0.0, distance) / span) ** spread.users


class Wins(NamedTuple):
    """How many users are better off with the first, equally well off, and worse off."""

    wins: int
    ties: int
    losses: int


def interval(metric: Metric, sums: Array, *, limits: Limits = UNLIMITED, seed: int = 0) -> Interval:
    """Estimate a metric as its mean over seeds, with an interval from draws of users with replacement.

    With one seed the bounds are those of the bootstrap over users. With several they come from the spread over users
    and over seeds together, and end at the metric's limits.

    Args:
        metric: The function from sums to the metric.
        sums: (seeds, users, summands).
        limits: The least and the largest value of the metric.
        seed: Of the draws.

    Returns:
        The metric with its interval.
    """
    seeds, users = sums.shape[:2]
    by_seed = metric(sums.sum(axis=1))
    value = float(by_seed.mean())
    if users < 2:
        return Interval(value, math.nan, math.nan, None, limits)

    def drawn_metric(indices: Array, axis: int = -1) -> Any:
        counts = _count_draws(np.atleast_2d(indices), users)
        values = np.mean([metric(counts @ sums_of_seed) for sums_of_seed in sums], axis=0)
        return np.round(values, 12).reshape(indices.shape[:-1])

    low, high, se = _bootstrap(drawn_metric, users, seed)
    of_users = se**2 * users / (users - 1)  # draws from `users` spread as if there were one user less
    if seeds > 1:
        return _spread_interval(value, Spread(of_users, users, _seed_variance(by_seed), seeds), limits)

    if low == high:
        low = high = math.nan
    return Interval(value, low, high, Spread(of_users, users), limits)


def compare(
    metric: Metric,
    first: Array,
    second: Array,
    *,
    weights: Array | None = None,
    limits: Limits = UNLIMITED,
    seed: int = 0,
) -> Comparison:
    """Estimate first minus second on the same users and seeds, with interval and test from one procedure.

    With one seed both come from exchanging all answers of a user between the methods (`exchange`). With several seeds
    both come from the spread over users and over seeds. So the interval excludes 0 exactly where p <= `ALPHA`. Where
    there is no spread, there is no interval, and p is that of the exchange.

    Args:
        metric: The function from sums to the metric.
        first: (seeds, users, summands).
        second: The same shape, users and seeds in the same order.
        weights: How much each user counts in the metric, such as her number of examples, (users,); alike by default.
        limits: The least and the largest difference that there can be.
        seed: Of the draws.

    Returns:
        The difference with its p-value.
    """
    seeds, users = first.shape[:2]
    by_seed = metric(first.sum(axis=1)) - metric(second.sum(axis=1))
    value = float(by_seed.mean())
    if users < 2:
        return Comparison(Interval(value, math.nan, math.nan, None, limits), math.nan)

    spread = Spread(_difference_variance(metric, first, second), users, _seed_variance(by_seed), seeds)
    if seeds > 1 and spread.se:
        return Comparison(_spread_interval(value, spread, limits), 2 * spread.tail(abs(value)))

    test = _exchange(metric, first.sum(axis=0), second.sum(axis=0), weights, seed)
    low, high = clip(test.low, test.high, limits) if spread.se else (math.nan, math.nan)
    return Comparison(Interval(value, low, high, spread, limits), test.p)


def exchange_test(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> float:
    """Test a difference by exchanging users between two methods; all exchanges where they are few.

    Args:
        metric: The function from sums to the metric.
        first: (users, summands).
        second: The same users in the same order.
        seed: Of the exchanges.

    Returns:
        The two-sided p-value.
    """
    return _exchange(metric, first, second, None, seed).p


def clip(low: float, high: float, limits: Limits) -> Bounds:
    """Return the part of an interval that lies within limits."""
    return max(low, limits[0]), min(high, limits[1])


def _exchange(metric: Metric, first: Array, second: Array, weights: Array | None, seed: int) -> ExchangeTest:
    return exchange_users(metric, first, second, weights, exchanges=PERMUTATIONS, alpha=ALPHA, seed=seed)


def _spread_interval(value: float, spread: Spread, limits: Limits) -> Interval:
    """The interval of a value with this spread; without bounds where there is none."""
    reach = spread.quantile(1 - ALPHA / 2) if spread.se else math.nan
    low, high = (value - reach, value + reach) if math.isnan(reach) else clip(value - reach, value + reach, limits)

    return Interval(value, low, high, spread, limits)


def _difference_variance(metric: Metric, first: Array, second: Array) -> float:
    """The variance of a difference over draws of users: the jackknife, which leaves out one user after another."""
    users = first.shape[1]
    first_without = metric(first.sum(axis=1, keepdims=True) - first)
    second_without = metric(second.sum(axis=1, keepdims=True) - second)

    differences = np.round((first_without - second_without).mean(axis=0), 12)
    return float((users - 1) * differences.var())


def _seed_variance(by_seed: Array) -> float:
    """The variance of a mean over seeds, from its values by seed; 0 where there is one."""
    return float(np.round(by_seed, 12).var(ddof=1)) / len(by_seed) if len(by_seed) > 1 else 0.0


def effect_size(first: Array, second: Array) -> float:
    """Return Cohen's d of paired scores: the mean difference in units of its spread over users.

    Args:
        first: The mean score of each user, (users,).
        second: The same users in the same order.

    Returns:
        The effect size; nan where the differences have no spread.
    """
    differences = first - second
    if len(differences) < 2:
        return math.nan

    spread = float(differences.std(ddof=1))
    return float(differences.mean()) / spread if spread > EQUAL else math.nan


def wins(first: Array, second: Array) -> Wins:
    """Count the users by whose mean score is higher.

    Args:
        first: The mean score of each user, (users,).
        second: The same users in the same order.

    Returns:
        How many users are better off with the first, equally well off, and worse off.
    """
    differences = first - second
    better = int((differences > EQUAL).sum())
    worse = int((differences < -EQUAL).sum())

    return Wins(better, len(differences) - better - worse, worse)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979, Scand J Statist 6:65).

    Args:
        ps: The p-values; nan is not counted and stays nan.

    Returns:
        The adjusted p-values in the same order.
    """
    ascending = [index for index in np.argsort(ps, kind="stable") if not math.isnan(ps[index])]

    adjusted = list(ps)
    largest = 0.0
    for rank, index in enumerate(ascending):
        largest = max(largest, min(1.0, (len(ascending) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def beats_all(ps: Sequence[float], gains: Sequence[float]) -> float:
    """Test whether a method is better than every rival.

    Args:
        ps: The p-value against each rival.
        gains: By how much the method is better than each rival.

    Returns:
        The largest p-value; 1 where a gain is not positive.
    """
    return max(ps) if all(gain > 0 for gain in gains) else 1.0


def _count_draws(indices: Array, users: int) -> Array:
    """Count how often each user was drawn: (draws, drawn) indices of users become (draws, users) counts."""
    draws = len(indices)

    # One `bincount` for all draws: each draw counts in a range of its own.
    shifted = indices.astype(np.int64) + np.arange(draws)[:, None] * users
    return np.bincount(shifted.ravel(), minlength=draws * users).reshape(draws, users)


def _bootstrap(statistic: Callable[..., Array], users: int, seed: int) -> tuple[float, float, float]:
    """Return low, high and standard error; bias-corrected and accelerated (Efron 1987) unless undefined or too dear."""
    data = (np.arange(users),)
    method = "BCa" if users <= BCA_USERS else "percentile"
    options: dict[str, Any] = {"vectorized": True, "batch": max(1, BATCH_CELLS // users), "confidence_level": 1 - ALPHA}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's note on degenerate draws, for which percentiles stand in
        bootstrap = stats.bootstrap(data, statistic, n_resamples=RESAMPLES, method=method, rng=seed, **options)
        if math.isnan(bootstrap.confidence_interval.low):
            bootstrap = stats.bootstrap(
                data, statistic, n_resamples=0, method="percentile", bootstrap_result=bootstrap, **options
            )

    low, high = bootstrap.confidence_interval
    return float(low), float(high), float(bootstrap.standard_error)
