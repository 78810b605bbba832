"""How many requests are under way at a time; one that waits for its next try lends its place to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar


class Slots:
    """The places for requests to one server. It belongs to the event loop that first uses it.

    Args:
        count: How many requests there may be at a time.
    """

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self._is_holder: ContextVar[bool] = ContextVar("is_holder", default=False)

    async def take(self) -> None:
        """Wait for a place on behalf of the task that is started next; it must call `occupy` first."""
        await self._semaphore.acquire()

    def occupy(self) -> None:
        """Make this task the holder of the place that was taken for it."""
        self._is_holder.set(True)

    def give_back(self) -> None:
        """Give back a place for which no task was started."""
        self._semaphore.release()

    def leave(self) -> None:
        """Give back the place of this task, if it still holds one."""
        if self._is_holder.get():
            self._is_holder.set(False)
            self._semaphore.release()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a place during one try; after it the place is free."""
        if not self._is_holder.get():
            await self._semaphore.acquire()
            self._is_holder.set(True)

        try:
            yield
        finally:
            self.leave()
