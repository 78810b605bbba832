"""What a fit cost: `fit.json` beside its spec, with the seconds of every attempt, and tokens where they are counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rpobench.method.contract import Method
from rpobench.method.left_out import LeftOut
from rpobench.models.meter import Meter
from rpobench.store.files import read_json, write_json
from rpobench.types import Usage


@dataclass(frozen=True)
class FitCost:
    """The content of `fit.json`. What is not known is None.

    Attributes:
        seconds: Of all attempts together.
        started: When the attempt began that is under way or was killed, in seconds since 1970.
        usage: What the fit's models were asked for.
        tokens: What was trained on, in tokens by stage.
        left_out: The training examples that a model refused, by task, see `FitContext.left_out`.
    """

    seconds: float = 0.0
    started: float | None = None
    usage: Usage | None = None
    tokens: Mapping[str, int] | None = None
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def write(self, file: Path) -> None:
        """Write it to `fit.json`."""
        usage = asdict(self.usage) if self.usage else None
        seconds = round(self.seconds, 3)
        content: dict[str, Any] = {"seconds": seconds, "started": self.started, "usage": usage, "tokens": self.tokens}
        if self.left_out:
            content["left_out"] = self.left_out
        write_json(file, content)


def read_fit_cost(file: Path) -> FitCost:
    """Read what a fit cost so far.

    Args:
        file: Its `fit.json`, which need not exist. Older ones count no `tokens`.

    Returns:
        The cost; zero seconds where there is no file.

    Raises:
        RpobenchError: The file is not readable.
    """
    if not file.exists():
        return FitCost()

    content = read_json(file, "seconds", "started", "usage")
    usage = Usage(**content["usage"]) if content["usage"] else None
    return FitCost(content["seconds"], content["started"], usage, content.get("tokens"), content.get("left_out", {}))


class FitAttempt:
    """An attempt at a fit that is under way, noted on the disk so that it counts even if it is killed.

    Args:
        file: The `fit.json` of the fit.
        work: The folder to which the fit writes while it goes on.
        meter: Counts the drafts that are made and handed out.
        left_out: What the fit goes on without.
    """

    def __init__(self, file: Path, work: Path, meter: Meter, left_out: LeftOut) -> None:
        self._file, self._meter, self._left_out = file, meter, left_out
        self._earlier_seconds = _sum_earlier_attempts(read_fit_cost(file), work)
        self._begin, self._started = meter.read(), time.time()
        self.note_start()

    def note_start(self) -> None:
        """Write when the attempt began, moved forward by the time it has spent on making drafts so far.

        If the attempt is killed, it is charged the seconds from this start to its last write. Drafts are charged when
        the fit is finished, so these seconds must not hold their making.
        """
        making_seconds = self._meter.making_seconds - self._begin.making_seconds
        FitCost(self._earlier_seconds, started=self._started + making_seconds).write(self._file)

    def note_end(self, finished: Method | None) -> None:
        """Write what the fit cost with this attempt.

        Args:
            finished: The fitted method; None where a fault ended the attempt, which is charged no drafts then.
        """
        charge = self._meter.charge_since(self._begin)
        seconds = self._earlier_seconds + charge.own_seconds

        if finished is None:
            cost = FitCost(seconds)
        else:
            cost = FitCost(
                seconds + charge.worth_seconds,
                None,
                finished.fit_usage,
                finished.fit_tokens,
                self._left_out.list_ids(),
            )
        cost.write(self._file)


@contextmanager
def fit_attempt(file: Path, work: Path, method: Method, meter: Meter, left_out: LeftOut) -> Iterator[FitAttempt]:
    """Add what is spent inside to what the fit cost, also where it ends by a fault.

    A killed attempt could not say when it ended: it counts up to its last write under `work`. Drafts are charged when
    the fit is finished, at what they took when they were made, whoever made them. So the time in which this attempt
    makes some is no part of its own.

    Args:
        file: The `fit.json` of the fit.
        work: The folder to which the fit writes while it goes on.
        method: The method that is fitted.
        meter: Counts the drafts that are made and handed out.
        left_out: What the fit goes on without.

    Yields:
        The attempt.
    """
    attempt = FitAttempt(file, work, meter, left_out)
    finished = None

    try:
        yield attempt
        finished = method
    finally:
        attempt.note_end(finished)


def _sum_earlier_attempts(cost: FitCost, work: Path) -> float:
    """Return the seconds of all attempts before this one, the last of which may have been killed."""
    if cost.started is None:
        return cost.seconds

    # The last attempt was killed: it counts up to its last write.
    last_write = max((path.stat().st_mtime for path in work.rglob("*")), default=cost.started)
    return cost.seconds + max(0.0, last_write - cost.started)
