"""Waiting for a server whose rate limit lasts longer than a few tries: all requests wait together, and say so."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field

from rpobench.types import RpobenchError

PATIENCE = 300.0  # seconds without any answer, unless --patience says otherwise
FIRST_WAIT, LONGEST_WAIT = 15.0, 60.0  # seconds, where the server names no time
TOLD_EVERY = 15.0  # seconds between two lines of the countdown


@dataclass
class Patience:
    """The waits of one server.

    Attributes:
        label: Model and server, for messages.
        limit: Seconds that it may be waited for in a row, without any answer.
    """

    label: str
    limit: float = PATIENCE
    _opens: float = field(default=0.0, init=False)
    _began: float | None = field(default=None, init=False)
    _next_wait: float = field(default=FIRST_WAIT, init=False)

    def note_answer(self) -> None:
        """Note that the server answers, so that the next wait is a first one again."""
        self._began, self._next_wait = None, FIRST_WAIT

    async def wait_until_open(self) -> None:
        """Wait as long as all requests of the server wait."""
        while time.monotonic() < self._opens:
            await asyncio.sleep(self._opens - time.monotonic())

    async def wait(self, words: str, delay: float | None) -> None:
        """Wait before a request that met a rate limit is made again.

        Args:
            words: What the server said.
            delay: Seconds that it asked for; None where it named no time.

        Raises:
            RpobenchError: The wait would go beyond the limit.
        """
        now = time.monotonic()
        if now < self._opens:  # another request began this wait
            await self.wait_until_open()
            return

        self._began = now if self._began is None else self._began
        if delay is None:
            delay, self._next_wait = self._next_wait, min(2 * self._next_wait, LONGEST_WAIT)

        waited = now - self._began
        if waited + delay > self.limit:
            raise RpobenchError(
                f"{self.label}: its rate limit lasts ({words}); waited {waited:.0f} s, --patience is {self.limit:g}; "
                "answers are kept, the same command continues"
            )

        self._opens = now + delay
        await self._count_down(words)

    async def _count_down(self, words: str) -> None:
        while (rest := self._opens - time.monotonic()) > 0:
            print(f"{self.label}: rate limit ({words}), asks again in {rest:.0f} s", file=sys.stderr)
            await asyncio.sleep(min(rest, TOLD_EVERY))
