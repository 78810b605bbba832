"""How far an estimate may lie from the truth, by source: other users, and other seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats
from scipy.optimize import brentq

SMALLEST_TAIL = 1e-12  # smaller shares are reported as this one


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

    def source_quantiles(self, share: float) -> tuple[float, float | None]:
        """Return the quantile of either source alone: what other users bring, and what other seeds bring.

        Args:
            share: The share, from 0.5 to 1.

        Returns:
            The distances in units of the metric; None for seeds where there is one.
        """
        of_users = math.sqrt(self.of_users) * float(stats.t(self.users - 1).ppf(share))
        if self.seeds < 2:
            return of_users, None

        return of_users, math.sqrt(self.of_seeds) * float(stats.t(self.seeds - 1).ppf(share))
