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
from scipy.optimize import brentq

Array = NDArray[Any]
Metric = Callable[[Array], Array]  # (..., summands) to (...)

ALPHA = 0.05
POWER = 0.8
MARGIN = 0.02  # of a metric's range: swapped profiles that change less change nothing of note
RESAMPLES = 2000
PERMUTATIONS = 4999
SMALLEST_TAIL = 1e-12  # smaller shares are reported as this one
EQUAL = 1e-12  # scores that differ by no more are equal
BCA_USERS = 1000  # beyond them the jackknife of BCa costs users squared and corrects nothing visible
BATCH_CELLS = 5_000_000  # numbers of one batch of draws in memory
FEW_USERS = 100  # with fewer, intervals of macro-F1 over many labels miss too often (measured: docs/leaderboard.md)
F1_NOTE = (
    f"Intervals of f1 over fewer than {FEW_USERS} users are too narrow where labels are many: trust accuracy there."
)


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate: the part that other users would bring, and the part that other seeds would.

    The quantiles of their sum are Cochran's (Cochran and Cox 1957, Experimental Designs): each part has its own
    degrees of freedom. They err on the side of caution. A single t with Satterthwaite's degrees errs on the other side
    (12% false positives at two seeds).

    Attributes:
        of_users: Variance of the estimate over draws of users.
        users: How many users it rests on.
        of_seeds: Variance of the estimate over seeds; 0 where there is one seed.
        seeds: How many seeds it rests on.
    """

    of_users: float
    users: int
    of_seeds: float = 0.0
    seeds: int = 1

    @property
    def se(self) -> float:
        """The standard error."""
        return math.sqrt(self.of_users + self.of_seeds)

    def quantile(self, share: float) -> float:
        """Return how far above the truth an estimate lies at most in a share of repetitions.

        Args:
            share: The share, from 0.5 to 1.

        Returns:
            The distance, in units of the metric.
        """
        squared = self.of_users * float(stats.t(self.users - 1).ppf(share)) ** 2
        if self.of_seeds:
            squared += self.of_seeds * float(stats.t(self.seeds - 1).ppf(share)) ** 2

        return math.sqrt(squared)

    def tail(self, distance: float) -> float:
        """Return the share of repetitions in which an estimate lies further above the truth than a distance.

        Args:
            distance: The distance, in units of the metric; it may be negative.

        Returns:
            The share, in [0, 1].
        """
        if distance == 0:
            return 0.5
        if self.se == 0:
            return float(distance < 0)
        if distance < 0:
            return 1 - self.tail(-distance)
        if not self.of_seeds:
            return float(stats.t(self.users - 1).sf(distance / self.se))

        # The tail of the sum has no closed form: search for the share whose quantile is the distance.
        if self.quantile(1 - SMALLEST_TAIL) < distance:
            return SMALLEST_TAIL
        return float(brentq(lambda share: self.quantile(1 - share) - distance, SMALLEST_TAIL, 0.5))


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
    """

    value: float
    low: float
    high: float
    spread: Spread | None


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


def interval(metric: Metric, sums: Array, *, seed: int = 0) -> Interval:
    """Estimate a metric, as the mean over seeds, with its interval.

    Args:
        metric: The function from sums to the metric.
        sums: (seeds, users, summands).
        seed: Of the draws.

    Returns:
        The metric with its interval.
    """
    return _estimate_interval(metric, sums, seed)


def difference(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> Interval:
    """Estimate first minus second on the same users and seeds.

    Args:
        metric: The function from sums to the metric.
        first: (seeds, users, summands).
        second: The same shape, users and seeds in the same order.
        seed: Of the draws.

    Returns:
        The difference with its interval.
    """
    width = first.shape[2]
    pairs = np.concatenate([first, second], axis=2)

    def metric_difference(sums: Array) -> Array:
        return metric(sums[..., :width]) - metric(sums[..., width:])

    return _estimate_interval(metric_difference, pairs, seed)


def compare(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> Comparison:
    """Test the `difference` of two methods.

    With one seed it is a permutation test that exchanges all answers of a user between the methods. With several seeds
    it is a test on the spread over users and over seeds. Where there is no spread, it is the same exchange of sums over
    seeds.

    Args:
        metric: The function from sums to the metric.
        first: (seeds, users, summands).
        second: The same shape, users and seeds in the same order.
        seed: Of the draws.

    Returns:
        The difference with its p-value.
    """
    estimate = difference(metric, first, second, seed=seed)
    spread = estimate.spread
    if not spread:
        return Comparison(estimate, math.nan)

    if len(first) > 1 and spread.se:
        return Comparison(estimate, 2 * spread.tail(abs(estimate.value)))

    p = exchange_test(metric, first.sum(axis=0), second.sum(axis=0), seed=seed)
    return Comparison(estimate, p)


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


def _estimate_interval(metric: Metric, sums: Array, seed: int) -> Interval:
    """Estimate a metric as its mean over seeds, with an interval from draws of users with replacement.

    With one seed the bounds are those of the bootstrap over users. With several they come from the spread over users
    and over seeds together. `sums` is (seeds, users, summands).
    """
    seeds, users = sums.shape[:2]
    by_seed = metric(sums.sum(axis=1))
    value = float(by_seed.mean())
    if users < 2:
        return Interval(value, math.nan, math.nan, None)

    def drawn_metric(indices: Array, axis: int = -1) -> Any:
        counts = _count_draws(np.atleast_2d(indices), users)
        values = np.mean([metric(counts @ sums_of_seed) for sums_of_seed in sums], axis=0)
        return np.round(values, 12).reshape(indices.shape[:-1])

    low, high, se = _bootstrap(drawn_metric, users, seed)
    of_users = se**2 * users / (users - 1)  # draws from `users` spread as if there were one user less

    if seeds == 1:
        if low == high:
            low = high = math.nan
        return Interval(value, low, high, Spread(of_users, users))

    of_seeds = float(by_seed.var(ddof=1)) / seeds
    spread = Spread(of_users, users, of_seeds, seeds)
    reach = spread.quantile(1 - ALPHA / 2) if spread.se else math.nan
    return Interval(value, value - reach, value + reach, spread)


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
    users = len(first)
    total = first.sum(axis=0) + second.sum(axis=0)
    change = second - first

    def exchanged_difference(indices: Array, partners: Array, axis: int = -1) -> Array:
        exchanged = np.atleast_2d(indices) >= users  # an index from `users` on is of the second method
        sums = first.sum(axis=0) + exchanged @ change
        return np.round(metric(sums) - metric(total - sums), 12).reshape(indices.shape[:-1])

    indices = np.arange(users)
    test = stats.permutation_test(
        (indices, indices + users),
        exchanged_difference,
        permutation_type="samples",
        n_resamples=PERMUTATIONS,
        batch=max(1, BATCH_CELLS // users),
        vectorized=True,
        rng=seed,
    )
    return float(test.pvalue)
