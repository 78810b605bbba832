"""The exchange test of two methods, and the interval that it implies: one procedure, so the two never disagree.

The test exchanges all answers of a user between the methods (Fisher's randomization test). The interval holds every
difference that the same exchanges do not reject at 5% once the second method is shifted by it (the test inverted;
Garthwaite 1996, Biometrics 52:1387). So it excludes 0 exactly where p <= 0.05.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Metric = Callable[[Array], Array]  # (..., summands) to (...)

BATCH_CELLS = 5_000_000  # numbers of one batch of exchanges in memory
DECIMALS = 12  # beyond them two differences are equal
NEVER_EXCLUDED = 1e-12  # share of exchanged users from which a shift moves both differences alike


@dataclass(frozen=True)
class ExchangeTest:
    """A difference of two methods with its interval and p-value.

    Attributes:
        low: The least difference that is not rejected; -inf where there are too few users to reject any.
        high: The largest one; inf in the same case.
        p: The two-sided p-value of no difference.
    """

    low: float
    high: float
    p: float


def exchange_users(
    metric: Metric,
    first: Array,
    second: Array,
    weights: Array | None = None,
    *,
    exchanges: int,
    alpha: float,
    seed: int = 0,
) -> ExchangeTest:
    """Test a difference by exchanging users between two methods, and invert the test.

    Args:
        metric: The function from sums to the metric.
        first: The sums of each user with the first method, (users, summands).
        second: The same users in the same order with the second.
        weights: How much each user counts in the metric, such as her number of examples, (users,); alike by default.
        exchanges: How many exchanges are drawn; where there are fewer at all, each is made once.
        alpha: The interval holds what is not rejected at this level.
        seed: Of the draws.

    Returns:
        The interval and the p-value.
    """
    users = len(first)
    shares = np.full(users, 1 / users) if weights is None else weights / weights.sum()
    exchanged = _list_exchanges(users, exchanges, seed)

    differences, kept_shares = _exchange_differences(metric, first, second, shares, exchanged)
    lows, highs = _find_bounds(float(differences[0]), differences, kept_shares)

    # Each exchange fails to reject the shifts between its two bounds. All hold the observed difference, so the share
    # of exchanges that hold a shift falls on either side of it, and what more than alpha of them hold is an interval.
    p = float(np.mean((lows <= 0) & (highs >= 0)))
    rejecting = math.floor(alpha * len(exchanged) + 1e-9)
    low = np.partition(lows, rejecting)[rejecting]
    high = np.partition(highs, len(highs) - 1 - rejecting)[len(highs) - 1 - rejecting]

    return ExchangeTest(float(low), float(high), p)


def _list_exchanges(users: int, exchanges: int, seed: int) -> NDArray[np.bool_]:
    """Which users are exchanged, (exchanges, users); in the first exchange none is."""
    if users < 63 and 2**users <= exchanges:
        numbers = np.arange(2**users)
        all_exchanges: NDArray[np.bool_] = (numbers[:, None] >> np.arange(users)) % 2 == 1
        return all_exchanges

    drawn = np.random.default_rng(seed).random((exchanges + 1, users)) < 0.5
    drawn[0] = False
    return drawn


def _exchange_differences(
    metric: Metric, first: Array, second: Array, shares: Array, exchanged: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """The difference after each exchange, and the share of users kept less that of users exchanged."""
    first_total, total = first.sum(axis=0), first.sum(axis=0) + second.sum(axis=0)
    change = second - first
    batch = max(1, BATCH_CELLS // len(first))

    differences, kept_shares = [], []
    for start in range(0, len(exchanged), batch):
        rows = exchanged[start : start + batch].astype(float)
        sums = first_total + rows @ change
        differences.append(metric(sums) - metric(total - sums))
        kept_shares.append(1 - 2 * (rows @ shares))

    return np.round(np.concatenate(differences), DECIMALS), np.concatenate(kept_shares)


def _find_bounds(observed: float, differences: Array, kept_shares: Array) -> tuple[Array, Array]:
    """Between which shifts the shifted difference of each exchange is at least as large as the observed one.

    A shift moves the observed difference by itself, and that of an exchange by itself times `kept_shares`. The two are
    equally large at the two roots of a parabola.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        one_root = (observed - differences) / (1 - kept_shares)
        other_root = (observed + differences) / (1 + kept_shares)

    lows = np.round(np.minimum(one_root, other_root), DECIMALS - 2)
    highs = np.round(np.maximum(one_root, other_root), DECIMALS - 2)

    is_trivial = np.abs(kept_shares) >= 1 - NEVER_EXCLUDED  # nobody or everybody is exchanged: nothing is rejected
    lows[is_trivial], highs[is_trivial] = -math.inf, math.inf
    return lows, highs
