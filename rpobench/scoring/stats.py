"""Is a difference real? Intervals and tests whose unit is the user, never the example.

All take sums by user (see `measures`): an array of (seeds, users, summands) and the function from sums to a metric, so
macro-F1 and RMSE are computed anew on every draw. One seed: users are the only source of variance, and an interval says
nothing about other seeds. Several seeds: users and seeds both are.
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
BCA_USERS = 1000  # beyond them the jackknife of BCa costs users squared and corrects nothing visible
CELLS = 5_000_000  # numbers of one batch of draws in memory
FEW = 100  # users below which intervals of macro-F1 over many labels miss too often (measured: docs/leaderboard.md)
F1_NOTE = f"Intervals of f1 over fewer than {FEW} users are too narrow where labels are many: trust accuracy there."


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate: the part that other users would bring, and the part that other seeds would.

    The quantiles of their sum are Cochran's (Cochran and Cox 1957, Experimental Designs): each part with its own
    degrees of freedom. They err on the side of caution; one t with Satterthwaite's degrees errs on the other (12% false
    positives at two seeds).
    """

    of_users: float
    users: int
    of_seeds: float = 0.0
    seeds: int = 1

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.of_users + self.of_seeds)

    def quantile(self, share: float) -> float:
        """How far above the truth an estimate lies at most in this share (0.5 to 1) of repetitions."""
        total = self.of_users * float(stats.t(self.users - 1).ppf(share)) ** 2
        if self.of_seeds:
            total += self.of_seeds * float(stats.t(self.seeds - 1).ppf(share)) ** 2
        return math.sqrt(total)

    def tail(self, distance: float) -> float:
        """The share of repetitions in which an estimate lies further above the truth than `distance`."""
        if self.se == 0 or distance == 0:
            return 0.5 if distance == 0 else float(distance < 0)
        if distance < 0:
            return 1 - self.tail(-distance)
        if not self.of_seeds:
            return float(stats.t(self.users - 1).sf(distance / self.se))
        tiny = 1e-12
        if self.quantile(1 - tiny) < distance:
            return tiny
        return float(brentq(lambda share: self.quantile(1 - share) - distance, tiny, 0.5))


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval and spread.

    Bounds are nan, and spread is None, where there are fewer than two users; bounds alone where no user differs from
    another, since draws from such users would claim a certainty that nobody has.
    """

    value: float
    low: float
    high: float
    spread: Spread | None


@dataclass(frozen=True)
class Comparison:
    """First minus second in one metric, paired by user: interval and two-sided p-value (1 where nothing differs)."""

    difference: Interval
    p: float

    @property
    def detectable(self) -> float:
        """The smallest true difference that a test at `ALPHA` would find with probability `POWER` here; nan where no
        user differs from another, which tells nothing of how others would."""
        spread = self.difference.spread
        return spread.quantile(1 - ALPHA / 2) + spread.quantile(POWER) if spread and spread.se else math.nan

    def equivalence(self, margin: float, span: float) -> float:
        """p-value for |difference| < `margin`: two one-sided tests (Schuirmann 1987, J Pharmacokin Biopharm 15:657).

        Where no user differs from another there is no spread to test with: it is the chance not to have met any of the
        users who, each by all of the metric's range `span`, would make the difference that large.
        """
        found = self.difference
        if not found.spread:
            return math.nan
        room = margin - abs(found.value)
        return found.spread.tail(room) if found.spread.se else (1 - max(0.0, room) / span) ** found.spread.users


class Wins(NamedTuple):
    """How many users are better off with the first, equal, worse off."""

    wins: int
    ties: int
    losses: int


def interval(metric: Metric, sums: Array, *, seed: int = 0) -> Interval:
    """A metric of (seeds, users, summands) sums, the mean over seeds, with its interval."""
    return _interval(metric, sums, seed)


def difference(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> Interval:
    """First minus second on the same users and seeds, both (seeds, users, summands) in the same order."""
    width = first.shape[2]
    both = np.concatenate([first, second], axis=2)
    return _interval(lambda sums: metric(sums[..., :width]) - metric(sums[..., width:]), both, seed)


def compare(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> Comparison:
    """The `difference` of two methods with its p-value.

    One seed: a permutation test that exchanges a user's answers of both as a whole. Several: a test on the spread over
    users and over seeds, unless there is none; then the same exchange, of sums over seeds.
    """
    found = difference(metric, first, second, seed=seed)
    if not found.spread:
        return Comparison(found, math.nan)
    if len(first) > 1 and found.spread.se:
        return Comparison(found, 2 * found.spread.tail(abs(found.value)))
    return Comparison(found, exchange_test(metric, first.sum(axis=0), second.sum(axis=0), seed=seed))


def effect_size(first: Array, second: Array) -> float:
    """Cohen's d of paired scores, (users,) each: mean difference in units of its spread over users; nan without one."""
    differences = first - second
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    return float(differences.mean()) / spread if spread > 1e-12 else math.nan


def wins(first: Array, second: Array) -> Wins:
    """Users by whose mean score is higher; (users,) each."""
    differences = first - second
    better, worse = int((differences > 1e-12).sum()), int((differences < -1e-12).sum())
    return Wins(better, len(differences) - better - worse, worse)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979, Scand J Statist 6:65), in the order given; nan stays out."""
    known = [place for place in np.argsort(ps, kind="stable") if not math.isnan(ps[place])]
    adjusted, largest = list(ps), 0.0
    for rank, place in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted


def beats_all(ps: Sequence[float], gains: Sequence[float]) -> float:
    """p-value of "better than every one of these": the largest, and 1 where one gain is not positive."""
    return max(ps) if all(gain > 0 for gain in gains) else 1.0


def _interval(metric: Metric, sums: Array, seed: int) -> Interval:
    """The mean over seeds of `metric`, its users drawn with replacement."""
    seeds, users = sums.shape[:2]
    by_seed = metric(sums.sum(axis=1))
    value = float(by_seed.mean())
    if users < 2:
        return Interval(value, math.nan, math.nan, None)

    def drawn_metric(drawn: Array, axis: int = -1) -> Any:
        counts = _counts(np.atleast_2d(drawn), users)
        values = np.mean([metric(counts @ one) for one in sums], axis=0)
        return np.round(values, 12).reshape(drawn.shape[:-1])

    low, high, se = _bootstrap(drawn_metric, users, seed)
    of_users = se**2 * users / (users - 1)  # draws from `users` spread as if there were one less
    if seeds == 1:
        low, high = (math.nan, math.nan) if low == high else (low, high)
        return Interval(value, low, high, Spread(of_users, users))
    spread = Spread(of_users, users, float(by_seed.var(ddof=1)) / seeds, seeds)
    reach = spread.quantile(1 - ALPHA / 2) if spread.se else math.nan
    return Interval(value, value - reach, value + reach, spread)


def _counts(drawn: Array, users: int) -> Array:
    """(draws, any) indices of users to (draws, users): how often each was drawn."""
    shifted = drawn.astype(np.int64) + np.arange(len(drawn))[:, None] * users
    return np.bincount(shifted.ravel(), minlength=len(drawn) * users).reshape(len(drawn), users)


def _bootstrap(statistic: Callable[..., Array], users: int, seed: int) -> tuple[float, float, float]:
    """Low, high and standard error; bias-corrected and accelerated (Efron 1987) unless undefined or too dear."""
    options: dict[str, Any] = {"vectorized": True, "batch": max(1, CELLS // users), "confidence_level": 1 - ALPHA}
    place = (np.arange(users),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's note on degenerate draws; they are handled below
        method = "BCa" if users <= BCA_USERS else "percentile"
        found = stats.bootstrap(place, statistic, n_resamples=RESAMPLES, method=method, rng=seed, **options)
        if math.isnan(found.confidence_interval.low):
            found = stats.bootstrap(
                place, statistic, n_resamples=0, method="percentile", bootstrap_result=found, **options
            )
    low, high = found.confidence_interval
    return float(low), float(high), float(found.standard_error)


def exchange_test(metric: Metric, first: Array, second: Array, *, seed: int = 0) -> float:
    """Two-sided p-value of exchanging users as a whole, (users, summands) each; all exchanges where they are few."""
    users = len(first)
    total, change = first.sum(axis=0) + second.sum(axis=0), second - first

    def difference(one: Array, other: Array, axis: int = -1) -> Array:
        exchanged = np.atleast_2d(one) >= users
        sums = first.sum(axis=0) + exchanged @ change
        return np.round(metric(sums) - metric(total - sums), 12).reshape(one.shape[:-1])

    places = np.arange(users)
    options: dict[str, Any] = {"n_resamples": PERMUTATIONS, "batch": max(1, CELLS // users), "vectorized": True}
    tested = stats.permutation_test(
        (places, places + users), difference, permutation_type="samples", rng=seed, **options
    )
    return float(tested.pvalue)
