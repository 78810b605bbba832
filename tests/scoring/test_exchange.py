"""The exchange test and its interval: one procedure, exact on small cases, and calibrated on simulated ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rpobench import get_task
from rpobench.scoring.exchange import ExchangeTest, exchange_users
from rpobench.scoring.stats import ALPHA, compare, interval

Draw = Callable[[np.random.Generator, int], Any]


def mean_of(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


def as_sums(scores: Any) -> Any:
    """(users, 2): each user's score and count."""
    return np.stack([scores, np.ones(len(scores))], axis=1)


def exchange(differences: Any, exchanges: int = 4999, seed: int = 0) -> ExchangeTest:
    scores = np.asarray(differences, dtype=float)
    sums = as_sums(scores), as_sums(np.zeros(len(scores)))
    return exchange_users(mean_of, *sums, exchanges=exchanges, alpha=ALPHA, seed=seed)


def test_all_exchanges_of_few_users_are_made_once() -> None:
    differences = np.array([0.5, 0.4, 0.3, 0.2, 0.1, 0.6, -0.1])

    by_scipy = scipy_stats.permutation_test(
        (differences, -differences),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
    )

    assert exchange(differences).p == pytest.approx(by_scipy.pvalue)


@pytest.mark.parametrize("users", [3, 5])
def test_too_few_users_exclude_nothing(users: int) -> None:
    result = exchange(np.linspace(0.5, 1, users))

    assert (result.low, result.high) == (-math.inf, math.inf) and result.p > ALPHA


def test_an_interval_ends_at_the_range_of_the_metric() -> None:
    first, second = as_sums(np.linspace(0.5, 1, 4)), as_sums(np.zeros(4))

    difference = compare(mean_of, first[None], second[None], limits=(-1.0, 1.0)).difference

    assert (difference.low, difference.high) == (-1.0, 1.0)


def test_every_shift_within_the_interval_is_not_rejected() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, 11)

    result = exchange(differences)

    inside, outside = 1e-6, -1e-6
    for margin, is_rejected in ((inside, False), (outside, True)):
        for shift in (result.low + margin, result.high - margin):
            assert (exchange(differences - shift).p <= ALPHA) is is_rejected


def test_the_mirrored_difference_has_the_mirrored_interval() -> None:
    differences = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], p=[0.1, 0.5, 0.4], size=40)

    result, mirrored = exchange(differences), exchange(-differences)

    assert (mirrored.low, mirrored.high, mirrored.p) == (-result.high, -result.low, result.p)


SCORES: dict[str, Draw] = {
    "right or wrong": lambda rng, users: rng.random(users) < 0.7,
    "seldom different": lambda rng, users: rng.random(users) < 0.05,
    "error of a rating": lambda rng, users: rng.binomial(4, 0.3, users),
    "overlap of texts": lambda rng, users: rng.beta(0.5, 1, users),
    "a few large": lambda rng, users: rng.exponential(1, users),
}
USERS = (10, 32, 100, 200)


@pytest.mark.parametrize("users", USERS)
@pytest.mark.parametrize("scores", SCORES)
def test_the_interval_excludes_zero_exactly_where_p_is_small(scores: str, users: int) -> None:
    rng = np.random.default_rng(users)

    for shift in np.linspace(0, 0.5, 40):
        result = exchange(SCORES[scores](rng, users) - 1.0 * SCORES[scores](rng, users) + shift, exchanges=499)

        assert (result.low <= 0 <= result.high) is (result.p > ALPHA)


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_compare_never_contradicts_itself(metric: str, seeds: int) -> None:
    task, rng = get_task("LaMP-2"), np.random.default_rng(seeds)

    def draw(skill: float) -> Any:
        targets = np.arange(30) % 15
        answers = np.where(rng.random((seeds, 30)) < skill, targets, rng.integers(-1, 15, (seeds, 30)))
        return np.stack([task.summands(np.stack([row, targets], axis=1).astype(float)) for row in answers])

    for skill in np.linspace(0.4, 0.9, 40):
        comparison = compare(lambda sums: task.metrics_of(sums)[metric], draw(skill), draw(0.4), limits=(-1.0, 1.0))

        difference = comparison.difference
        assert (difference.low <= 0 <= difference.high) is (comparison.p > ALPHA)
        assert -1 <= difference.low <= difference.value <= difference.high <= 1


def test_an_interval_over_two_seeds_stays_in_the_metrics_range() -> None:
    seeds = np.stack([as_sums(np.linspace(0.8, 1, 30)), as_sums(np.linspace(0.5, 0.8, 30))])

    estimate = interval(mean_of, seeds, limits=(0.0, 1.0))
    over_users, over_seeds = estimate.by_source()

    assert estimate.low == 0.0 and estimate.high == 1.0
    assert over_users and over_seeds and over_seeds == (0.0, 1.0)
    assert 0.7 < over_users[0] < estimate.value < over_users[1] < 0.83


@pytest.mark.slow
@pytest.mark.parametrize("users", USERS)
@pytest.mark.parametrize("scores", SCORES)
def test_equal_methods_differ_in_at_most_5_of_100_comparisons(scores: str, users: int) -> None:
    rng, draws = np.random.default_rng(users), 1500

    rejected = 0
    for seed in range(draws):
        difference = SCORES[scores](rng, users) - 1.0 * SCORES[scores](rng, users)
        rejected += exchange(difference, exchanges=999, seed=seed).p <= ALPHA

    assert rejected / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


@pytest.mark.slow
@pytest.mark.parametrize("users", USERS)
@pytest.mark.parametrize("scores", SCORES)
def test_intervals_of_a_true_difference_hold_it(scores: str, users: int) -> None:
    """The second method is worse by a skewed amount for three users in ten."""
    rng, draws, truth = np.random.default_rng(users), 1500, 0.3 * 0.5

    held = 0
    for seed in range(draws):
        loss = (rng.random(users) < 0.3) * rng.beta(1, 1, users)
        difference = SCORES[scores](rng, users) - 1.0 * SCORES[scores](rng, users) + loss
        result = exchange(difference, exchanges=999, seed=seed)
        held += result.low <= truth <= result.high

    least = 0.80 if users == 10 else 0.93
    assert held / draws >= least
