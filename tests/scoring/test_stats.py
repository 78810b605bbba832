"""Intervals and tests: right on known cases, calibrated on simulated ones, and always by user."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rpobench import get_task
from rpobench.scoring import stats
from rpobench.scoring.stats import (
    Comparison,
    Interval,
    Spread,
    beats_all,
    compare,
    effect_size,
    exchange_test,
    holm,
    interval,
    wins,
)

METRICS = [(name, metric) for name in ("LaMP-2", "LaMP-3", "LaMP-7") for metric in get_task(name).metrics]


def metric_of(task: str, name: str) -> Any:
    return lambda sums: get_task(task).metrics_of(sums)[name]


def user_sums(task: str, measures: Any, owner: Any) -> Any:
    """(users, summands) of (examples, measures)."""
    summands = get_task(task).summands(np.asarray(measures, dtype=float))
    sums = np.zeros((max(owner) + 1, summands.shape[1]))
    np.add.at(sums, owner, summands)
    return sums


def answers(task: str, rng: np.random.Generator, skill: Any) -> Any:
    """Measures of noisy answers; `skill` (examples,) in [0, 1] is shared by rivals, so their pairs are correlated."""
    count = len(skill)

    if task == "LaMP-2":
        targets = (np.arange(count) * 7) % 15
        return np.stack([np.where(rng.random(count) < skill, targets, rng.integers(-1, 15, count)), targets], axis=1)

    if task == "LaMP-3":
        return rng.binomial(4, 1 - skill)[:, None]

    return np.clip(np.outer(skill, [1, 0.9]) + rng.normal(0, 0.2, (count, 2)), 0, 1)


def pair(task: str, rng: np.random.Generator, users: int = 30) -> tuple[Any, Any]:
    """Two methods that are equally good, on 1 to 4 examples a user."""
    owner = np.repeat(np.arange(users), rng.integers(1, 5, users))
    skill = np.clip(rng.beta(2, 2, users)[owner] + rng.normal(0, 0.1, len(owner)), 0, 1)

    first, second = (user_sums(task, answers(task, rng, skill), owner) for _ in range(2))
    return first, second


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), METRICS)
def test_equal_methods_differ_in_at_most_7_of_100_comparisons(
    task: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "PERMUTATIONS", 399)
    rng = np.random.default_rng(11)

    ps = [exchange_test(metric_of(task, metric), *pair(task, rng), seed=seed) for seed in range(1000)]

    assert 0.02 < np.mean(np.array(ps) <= 0.05) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("luck", [0.05, 0.2])
@pytest.mark.parametrize(
    ("task", "metric"), [("LaMP-2", "accuracy"), ("LaMP-2", "f1"), ("LaMP-3", "RMSE"), ("LaMP-7", "rouge-1")]
)
def test_equal_methods_with_seeds_that_differ_are_found_equal(
    task: str, metric: str, luck: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "RESAMPLES", 200)
    monkeypatch.setattr(stats, "BCA_USERS", 0)
    rng = np.random.default_rng(12)

    def train_seeds(owner: Any, skill: Any, seeds: int = 3) -> Any:
        bonuses = rng.normal(0, luck, seeds)
        measures = [answers(task, rng, np.clip(skill + bonus, 0, 1)) for bonus in bonuses]
        return np.stack([user_sums(task, measures_of_seed, owner) for measures_of_seed in measures])

    false_positives = 0
    for seed in range(1000):
        owner = np.repeat(np.arange(30), 2)
        skill = rng.beta(2, 2, 30)[owner]
        comparison = compare(metric_of(task, metric), train_seeds(owner, skill), train_seeds(owner, skill), seed=seed)
        false_positives += comparison.p <= 0.05

    assert false_positives <= 70


@pytest.mark.slow
def test_a_known_effect_is_found_as_often_as_theory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "PERMUTATIONS", 399)
    rng, users, effect = np.random.default_rng(13), 50, 0.4

    significant = 0
    for seed in range(1000):
        base = rng.normal(0.5, 0.2, (users, 2))
        better = base + rng.normal(effect * 0.1, 0.1, (users, 2))
        sums = [user_sums("LaMP-7", measures, np.arange(users)) for measures in (better, base)]
        significant += exchange_test(metric_of("LaMP-7", "rouge-1"), *sums, seed=seed) <= 0.05

    noncentral = scipy_stats.nct(users - 1, effect * math.sqrt(users))
    theory = noncentral.sf(scipy_stats.t(users - 1).ppf(0.975))
    assert 0.7 < theory < 0.9 and abs(significant / 1000 - theory) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), METRICS)
def test_intervals_hold_the_truth(task: str, metric: str) -> None:
    rng = np.random.default_rng(14)
    owner = np.arange(400_000)
    everyone = user_sums(task, answers(task, rng, rng.beta(2, 2, len(owner))), owner)
    truth = float(metric_of(task, metric)(everyone.sum(axis=0)))

    hits = 0
    for seed in range(200):
        users = rng.choice(len(owner), 150, replace=False)
        estimate = interval(metric_of(task, metric), everyone[users][None], seed=seed)
        hits += estimate.low <= truth <= estimate.high

    assert hits / 200 >= (0.85 if metric == "f1" else 0.91), "macro-F1 of a small sample is biased"


def test_all_examples_of_a_user_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    scores = np.repeat(rng.random(20), 10)
    together = user_sums("LaMP-7", np.stack([scores, scores], axis=1), np.repeat(np.arange(20), 10))
    apart = user_sums("LaMP-7", np.stack([scores, scores], axis=1), np.arange(200))

    by_user, by_example = (interval(metric_of("LaMP-7", "rouge-1"), sums[None]) for sums in (together, apart))

    assert by_user.value == pytest.approx(by_example.value)
    assert by_user.spread and by_example.spread
    assert by_user.spread.se == pytest.approx(scores[::10].std(ddof=1) / math.sqrt(20), rel=0.1)
    assert by_user.spread.se > 2.5 * by_example.spread.se
    assert by_user.low < by_user.value < by_user.high


def test_users_are_exchanged_as_a_whole() -> None:
    first, second = np.array([0.9] * 3), np.array([0.1] * 3)
    owner = np.repeat(np.arange(3), 50)
    first_sums = user_sums("LaMP-7", np.stack([np.repeat(first, 50)] * 2, axis=1), owner)
    second_sums = user_sums("LaMP-7", np.stack([np.repeat(second, 50)] * 2, axis=1), owner)

    p = exchange_test(metric_of("LaMP-7", "rouge-1"), first_sums, second_sums)

    assert p == pytest.approx(2 / 8), "2 of 2**3 exchanges"


def test_macro_f1_is_computed_anew_and_not_averaged() -> None:
    measures = [[0, 0], [1, 1], [-1, 1], [0, 2]]
    sums = user_sums("LaMP-2", measures, np.arange(4))

    estimate = interval(metric_of("LaMP-2", "f1"), sums[None])

    assert estimate.value == pytest.approx((2 / 3 + 2 / 3 + 0) / 15)


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = pair("LaMP-2", np.random.default_rng(2))
    metric = metric_of("LaMP-2", "f1")

    assert compare(metric, first[None], second[None]) == compare(metric, first[None], second[None])
    assert interval(metric, first[None], seed=1) != interval(metric, first[None], seed=2)


def test_a_method_against_itself_is_no_difference() -> None:
    first, _ = pair("LaMP-3", np.random.default_rng(3))
    two_seeds = np.stack([first, first])

    comparison = compare(metric_of("LaMP-3", "RMSE"), first[None], first[None])
    over_seeds = compare(metric_of("LaMP-3", "RMSE"), two_seeds, two_seeds)

    difference = comparison.difference
    assert (comparison.p, difference.value) == (1.0, 0.0) and math.isnan(comparison.detectable)
    assert math.isnan(difference.low) and math.isnan(difference.high), "an interval would claim certainty"
    users = difference.spread.users if difference.spread else 0
    assert comparison.equivalence(0.04, 4.0) == pytest.approx(0.99**users), "who was not met may differ"
    assert over_seeds.p == 1.0 and math.isnan(over_seeds.difference.low)


def test_two_users_without_spread_are_no_certainty() -> None:
    right = user_sums("LaMP-7", [[1.0, 1.0]] * 2, [0, 1])
    wrong = user_sums("LaMP-7", [[0.0, 0.0]] * 2, [0, 1])

    comparison = compare(metric_of("LaMP-7", "rouge-1"), np.stack([right] * 2), np.stack([wrong] * 2))

    assert comparison.p == 0.5 and math.isnan(comparison.detectable), "however many seeds there are"


def test_one_user_tells_nothing() -> None:
    sums = user_sums("LaMP-7", [[0.1, 0.2]], [0])

    comparison = compare(metric_of("LaMP-7", "rouge-1"), sums[None], sums[None])

    assert comparison.difference.value == 0 and math.isnan(comparison.p) and math.isnan(comparison.difference.low)
    assert math.isnan(comparison.detectable) and math.isnan(comparison.equivalence(0.1, 1.0))
    assert math.isnan(effect_size(np.array([1.0]), np.array([0.0])))


def test_seeds_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    base = rng.random((50, 2))
    agree = np.stack([user_sums("LaMP-7", base, np.arange(50))] * 3)
    differ = np.stack([user_sums("LaMP-7", base + shift, np.arange(50)) for shift in (-0.3, 0.0, 0.3)])
    metric = metric_of("LaMP-7", "rouge-1")

    steady, shaken = interval(metric, agree), interval(metric, differ)

    assert steady.value == pytest.approx(shaken.value)
    assert steady.spread and shaken.spread
    assert shaken.spread.se == pytest.approx(math.hypot(steady.spread.se, 0.3 / math.sqrt(3)), rel=0.01)
    assert shaken.high - shaken.low > 3 * (steady.high - steady.low)


def test_quantiles_and_tails_of_a_spread_are_inverse() -> None:
    for spread in (Spread(0.01, 30), Spread(0.01, 30, 0.02, 3)):
        for share in (0.6, 0.975, 0.9999):
            assert spread.tail(spread.quantile(share)) == pytest.approx(1 - share, rel=1e-3)
            assert spread.tail(-spread.quantile(share)) == pytest.approx(share)

    assert Spread(0.01, 30).quantile(0.975) == pytest.approx(0.1 * scipy_stats.t(29).ppf(0.975))
    assert Spread(0.01, 30, 0.02, 3).tail(1e9) < 1e-9 and Spread(0.0, 30).tail(0.1) == 0.0


def test_equivalence_needs_small_difference_and_small_spread() -> None:
    def equivalence(value: float, se: float) -> float:
        return Comparison(Interval(value, 0, 0, Spread(se**2, 100)), 1.0).equivalence(0.02, 1.0)

    assert equivalence(0.0, 0.005) < 0.001 < 0.05 < equivalence(0.0, 0.05)
    assert equivalence(0.02, 0.005) == pytest.approx(0.5) and equivalence(-0.02, 0.005) == pytest.approx(0.5)
    assert equivalence(0.1, 0.005) > 0.99


def test_detectable_matches_the_power_of_a_t_test() -> None:
    comparison = Comparison(Interval(0.0, 0, 0, Spread(0.1**2 / 50, 50)), 1.0)

    noncentral = scipy_stats.nct(49, comparison.detectable / (0.1 / math.sqrt(50)))
    assert noncentral.sf(scipy_stats.t(49).ppf(0.975)) == pytest.approx(0.8, abs=0.01)


def test_holm_steps_down_and_keeps_order_and_gaps() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

    adjusted = holm([0.5, math.nan, 0.02])

    assert adjusted[0] == 0.5 and math.isnan(adjusted[1]) and adjusted[2] == 0.04
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_beating_all_takes_the_largest_p_and_every_gain() -> None:
    assert beats_all([0.01, 0.04], [0.1, 0.2]) == 0.04
    assert beats_all([0.01, 0.04], [0.1, -0.2]) == 1.0


def test_wins_and_effect_size_are_by_user() -> None:
    first, second = np.array([0.9, 0.5, 0.1, 0.6]), np.array([0.1, 0.5, 0.4, 0.2])

    assert wins(first, second) == (2, 1, 1)

    differences = first - second

    assert effect_size(first, second) == pytest.approx(differences.mean() / differences.std(ddof=1))
