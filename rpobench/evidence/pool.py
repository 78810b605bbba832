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
        """Hash all of it: two jobs with the same hash have the same ranking."""
        days = [day.toordinal() if day else 0 for day in self.dates] if any(self.dates) else []
        lengths = [len(text) for text in self.texts]  # so that no other division of the same characters is alike
        head = repr((self.key, self.query, lengths, days))

        return hashlib.sha256("".join([head, *self.texts]).encode("utf-8", "surrogatepass")).digest()

    def rank(self, retriever: Retriever) -> Sequence[int]:
        """Return every index of the texts, best first."""
        return retriever.rank(self.query, self.texts, dates=self.dates, key=self.key)


def rank_jobs(retriever: Retriever, jobs: Iterable[Job], item_count: int) -> Iterator[Sequence[int]]:
    """Rank profiles, here or in worker processes.

    A retriever that `batches_texts` gets all texts first. One that says `in_pool` is copied to worker processes where
    each would have a second's work.

    Args:
        retriever: What ranks.
        jobs: One a profile. Only a few chunks of them are in memory at a time while workers rank.
        item_count: How many texts the jobs have together.

    Yields:
        The ranking of each job, in the order of the jobs.

    Raises:
        RpobenchError: A worker process died.
    """
    if retriever.batches_texts:
        jobs = list(jobs)
        if jobs:
            texts: list[str] = []
            for job in jobs:
                texts += [job.query, *job.texts]
            retriever.prepare(texts)

    workers = min(_count_processors(), item_count // ITEMS_A_WORKER) if retriever.in_pool else 1
    if workers < 2:
        for job in jobs:
            yield job.rank(retriever)
        return

    try:
        yield from _rank_in_workers(retriever, jobs, workers)
    except BrokenProcessPool as error:
        raise RpobenchError(
            f"ranking with {retriever.identity}: a worker process died, killed or out of memory: free some memory and "
            "run again; a script of your own must call rpobench under `if __name__ == '__main__':`"
        ) from error


def _rank_in_workers(retriever: Retriever, jobs: Iterable[Job], workers: int) -> Iterator[Sequence[int]]:
    """The ranking of each job, in order; at most two chunks a worker wait at a time."""
    pending: deque[Future[list[Sequence[int]]]] = deque()

    # Spawned: a fork would copy the locks of torch's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_ignore_interrupts) as pool:
        for chunk in _split_into_chunks(jobs):
            pending.append(pool.submit(_rank_chunk, retriever, chunk))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()

        while pending:
            yield from pending.popleft().result()


def _rank_chunk(retriever: Retriever, jobs: Sequence[Job]) -> list[Sequence[int]]:
    return [job.rank(retriever) for job in jobs]


def _split_into_chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """The jobs in groups of about `ITEMS_A_CHUNK` items."""
    chunk: list[Job] = []
    chunk_items = 0
    for job in jobs:
        chunk.append(job)
        chunk_items += len(job.texts)
        if chunk_items >= ITEMS_A_CHUNK:
            yield chunk
            chunk, chunk_items = [], 0

    if chunk:
        yield chunk


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent process, which ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _count_processors() -> int:
    """How many processors this process may use, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))

    return os.cpu_count() or 1
