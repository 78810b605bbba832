"""How a server is asked many prompts at a time, and how a failure is known to be a prompt's or the server's."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rpobench.models.protocol import OnCompletion, ReportingModel
from rpobench.models.served.event_loop import BackgroundLoop
from rpobench.models.served.failure_limit import FailureLimit
from rpobench.models.served.patience import PATIENCE, Patience
from rpobench.models.served.replies import Reply
from rpobench.models.served.slots import Slots
from rpobench.types import Chat, Completion, Decoding, RpobenchError

CHOICE_TOKENS = 32  # room for a label and the words some models put around it
OTHER_PROMPTS = 8  # that are tried before a server that refused everything is given up
RESERVE = 4  # one request more for each four at a time may wait for its next try


@dataclass
class Batch:
    """The prompts of one call, and what came of them.

    Attributes:
        requests: The content of each request.
        chats: The prompts.
        on_completion: Told of each completion as soon as it counts.
        completions: By the index of their prompt.
        errors: What ends the call.
        held: Failures that may be the server's and not the prompt's, until it answers something.
    """

    requests: Sequence[dict[str, Any]]
    chats: Sequence[Chat]
    on_completion: OnCompletion
    completions: dict[int, Completion] = field(default_factory=dict)
    errors: list[RpobenchError] = field(default_factory=list)
    held: list[tuple[int, Reply]] = field(default_factory=list)

    def deliver(self, index: int, completion: Completion) -> None:
        """Report a completion."""
        self.completions[index] = completion
        self.on_completion(index, completion)

    def release(self) -> None:
        """Report the failures that were held: they are their prompts' own."""
        while self.held:
            index, reply = self.held.pop()
            self.deliver(index, reply.completion)


class AskingModel(ReportingModel):
    """A model behind a server. A subclass words the requests and makes one.

    Attributes:
        concurrency: How many requests are made at a time.
        has_earlier_answers: Says whether this model answered something in an earlier run; asked only where everything
            is refused.
    """

    def __init__(self, *, concurrency: int, patience: float = PATIENCE) -> None:
        self.concurrency = concurrency
        self.has_earlier_answers: Callable[[], bool] = lambda: False

        self._limit = FailureLimit()
        self._is_known_to_answer = False
        self._patience_seconds = patience

    @property
    @abstractmethod
    def label(self) -> str:
        """How errors name model and server."""

    @abstractmethod
    def _write_requests(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[dict[str, Any]]:
        """The content of each request, in order."""

    @abstractmethod
    async def _ask(self, chat: Chat, request: dict[str, Any]) -> Reply:
        """Make one request, with its retries. Each try holds one of `self._slots`."""

    @cached_property
    def _loop(self) -> BackgroundLoop:
        return BackgroundLoop()

    @cached_property
    def _slots(self) -> Slots:
        return Slots(self.concurrency)

    @cached_property
    def _patience(self) -> Patience:
        return Patience(self.label, self._patience_seconds)

    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `generate`; completions are reported in another thread as they come in.

        Whether a chat that ends with an assistant message is continued is the server's affair.
        """
        batch = Batch(self._write_requests(chats, decoding), chats, on_completion)

        return self._loop.run(self._ask_all(batch))

    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """What the model says, as it is: a server gives no likelihoods to choose by. The task reads the label in it."""
        return self.generate_each(chats, Decoding(max_new_tokens=CHOICE_TOKENS), on_completion)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Servers have none."""
        raise RpobenchError(f"{self.label}: API models have no likelihoods; take a local one")

    async def _ask_all(self, batch: Batch) -> list[Completion]:
        under_way = asyncio.Semaphore(self.concurrency + self.concurrency // RESERVE)

        async def work(index: int) -> None:
            self._slots.occupy()
            answered_before = self._limit.answered
            try:
                reply = await self._ask_patiently(batch.chats[index], batch.requests[index])
                self._judge(batch, index, reply, answered_before)
            except RpobenchError as error:
                batch.errors.append(error)
            finally:
                self._slots.leave()
                under_way.release()

        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            for index in range(len(batch.chats)):
                await under_way.acquire()
                if not await self._take_place(batch, tasks):
                    break
                tasks.append(group.create_task(work(index)))

        self._end(batch)
        return [batch.completions[index] for index in range(len(batch.chats))]

    async def _take_place(self, batch: Batch, tasks: Sequence[asyncio.Task[None]]) -> bool:
        """Wait for a place for the next request; say whether it is to be made. Where all was refused, it is not."""
        while True:
            await self._slots.take()
            if not batch.errors and len(batch.held) <= OTHER_PROMPTS:
                return True

            self._slots.give_back()
            if batch.errors:
                return False
            await asyncio.wait(tasks)  # an answer may be under way
            self._release_if_known(batch)
            if batch.held:
                return False

    async def _ask_patiently(self, chat: Chat, request: dict[str, Any]) -> Reply:
        """The reply to a request, which is made again after a rate limit."""
        while True:
            await self._patience.wait_until_open()
            reply = await self._ask(chat, request)
            if reply.rate_limit is None:
                self._patience.note_answer()
                return reply

            await self._patience.wait(reply.rate_limit, reply.delay)

    def _judge(self, batch: Batch, index: int, reply: Reply, answered_before: int) -> None:
        """Report what came of a prompt, or hold it while the server may refuse every prompt alike."""
        completion = reply.completion
        if reply.complaint and not self._limit.answered and not self._is_known_to_answer:
            batch.held.append((index, reply))
            return

        failed = completion.failure is not None
        is_over = not completion.permanent and self._limit.add(failed=failed, answered_before=answered_before)
        batch.deliver(index, completion)
        if not failed:
            batch.release()
        if is_over:
            raise self._stop(completion.failure)

    def _release_if_known(self, batch: Batch) -> None:
        """Report the failures that were held, if the model answered something in an earlier run."""
        try:
            if batch.held and not batch.errors and self.has_earlier_answers():
                self._is_known_to_answer = True
                batch.release()
        except RpobenchError as error:
            batch.errors.append(error)

    def _end(self, batch: Batch) -> None:
        """Raise what ends the call, if anything does."""
        self._release_if_known(batch)
        if batch.errors:
            raise batch.errors[0]
        if batch.held:
            raise RpobenchError(batch.held[-1][1].complaint)
        if self._limit.never_answered:
            raise self._stop(next(iter(batch.completions.values())).failure)

    def _stop(self, failure: str | None) -> RpobenchError:
        return RpobenchError(
            f"{self.label}: {self._limit.failed} requests failed, {self._limit.answered} did not; "
            f"the last: {failure}; check --base-url and the server; answers are kept, the same command continues"
        )
