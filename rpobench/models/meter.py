"""What shared texts cost: the seconds spent on making them here, and the seconds that those handed out once took."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What a meter showed at one moment.

    Attributes:
        clock: Seconds of a clock that never goes back.
        making_seconds: As in `Meter`.
        worth_seconds: As in `Meter`.
    """

    clock: float
    making_seconds: float
    worth_seconds: float


@dataclass(frozen=True)
class Charge:
    """What a piece of work is charged for.

    Attributes:
        own_seconds: Its own time, without the making of shared texts.
        worth_seconds: What the shared texts that it was given took when they were made, whoever made them.
    """

    own_seconds: float
    worth_seconds: float

    @property
    def seconds(self) -> float:
        """The sum of both."""
        return self.own_seconds + self.worth_seconds


@dataclass
class Meter:
    """Seconds of shared texts, such as drafts: read before and after a piece of work, it says what to charge for it.

    Many methods share the texts that one of them makes. Whoever is given a text is charged what it took when it was
    made. So the time in which it is made here must not count a second time.

    Attributes:
        making_seconds: Spent by this process on making shared texts, or on waiting for another process that makes
            them, since the meter began.
        worth_seconds: What the texts that were handed out took when they were made.
    """

    making_seconds: float = 0.0
    worth_seconds: float = 0.0

    def read(self) -> Reading:
        """What the meter shows now."""
        return Reading(time.monotonic(), self.making_seconds, self.worth_seconds)

    def charge_since(self, start: Reading) -> Charge:
        """What the work since an earlier reading is charged.

        Args:
            start: What this meter showed when the work began.

        Returns:
            Its own seconds and those of the shared texts that it was given.
        """
        elapsed = time.monotonic() - start.clock
        return Charge(
            own_seconds=elapsed - (self.making_seconds - start.making_seconds),
            worth_seconds=self.worth_seconds - start.worth_seconds,
        )
