"""Ranking many profiles: one after another, or in worker processes where there is much to rank."""

from __future__ import annotations

import hashlib
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context

from rpobench.evidence.retrievers import Retriever
from rpobench.types import RpobenchError

ITEMS_A_WORKER = 20_000  # about a second of BM25, which is what a worker takes to start
ITEMS_A_CHUNK = 4_000  # items that go to a worker at a time


@dataclass(frozen=True, slots=True)
class Job:
    """What a retriever is given to rank one profile; see `Retriever.rank`."""

    query: str
    texts: Sequence[str]
    dates: Sequence[date | None]
    key: str

    def digest(self) -> bytes:
        """A hash of all of it: two jobs with the same hash have the same order."""
        days = [day.toordinal() if day else 0 for day in self.dates] if any(self.dates) else []
        head = repr((self.key, self.query, list(map(len, self.texts)), days))
        return hashlib.sha256("".join([head, *self.texts]).encode("utf-8", "surrogatepass")).digest()

    def rank(self, ranker: Retriever) -> Sequence[int]:
        """Every place of the texts, best first."""
        return ranker.rank(self.query, self.texts, dates=self.dates, key=self.key)


def rank_all(ranker: Retriever, jobs: Iterable[Job], items: int) -> Iterator[Sequence[int]]:
    """The order of each job, in the order of the jobs; `items` is how many texts they have together.

    A ranker that `batches_texts` gets all of them first. One that says `in_pool` is copied to worker processes where
    each would have a second's work; then only a few chunks of jobs are held at a time. Raises RpobenchError where a
    worker dies.
    """
    if ranker.batches_texts:
        jobs = list(jobs)
        if jobs:
            ranker.prepare([text for job in jobs for text in (job.query, *job.texts)])
    workers = min(_processors(), items // ITEMS_A_WORKER) if ranker.in_pool else 1
    if workers < 2:
        yield from (job.rank(ranker) for job in jobs)
        return
    waiting: deque[Future[list[Sequence[int]]]] = deque()
    try:
        # Spawned: a fork would copy the locks of torch's threads.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_interrupts) as pool:
            for chunk in _chunks(jobs):
                waiting.append(pool.submit(_rank_chunk, ranker, chunk))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RpobenchError(
            f"ranking with {ranker.identity}: a worker process died, killed or out of memory: free some memory and run "
            "again; a script of your own must call rpobench under `if __name__ == '__main__':`"
        ) from error


def _rank_chunk(ranker: Retriever, jobs: Sequence[Job]) -> list[Sequence[int]]:
    return [job.rank(ranker) for job in jobs]


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    chunk: list[Job] = []
    held = 0
    for job in jobs:
        chunk.append(job)
        held += len(job.texts)
        if held >= ITEMS_A_CHUNK:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _leave_interrupts() -> None:
    """Ctrl-C is the parent's affair: it ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _processors() -> int:
    """How many this process may use, as far as the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
