"""Ranking many profiles: worker processes for much work alone, the same orders, clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_rankers import Alone, Deadly, Refusing, Telling

from rpobench import get_retriever, get_task
from rpobench.evidence import pool as ranking
from rpobench.evidence.pool import Job, rank_jobs
from rpobench.types import RpobenchError

TASK = get_task("LaMP-3")


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors, and little work is much."""
    monkeypatch.setattr(ranking, "_count_processors", lambda: 2)
    monkeypatch.setattr(ranking, "ITEMS_A_WORKER", 40)
    monkeypatch.setattr(ranking, "ITEMS_A_CHUNK", 8)


def jobs(count: int, size: int = 4) -> list[Job]:
    texts = [f"word{place} of {place % 3}" for place in range(size)]
    return [Job(str(number), texts, [None] * size, "k") for number in range(count)]


def ranked(ranker: Any, some: Sequence[Job]) -> list[Sequence[int]]:
    return list(rank_jobs(ranker, iter(some), sum(len(job.texts) for job in some)))


def test_much_work_goes_to_workers_without_torch_and_comes_back_in_order(two_workers: None) -> None:
    import torch  # noqa: F401  # here it is loaded, there it must not be

    told = ranked(Telling(), jobs(60))
    assert [query for _, _, query in told] == list(range(60))
    assert os.getpid() not in {process for process, _, _ in told} and not any(loaded for _, loaded, _ in told)


@pytest.mark.parametrize(("ranker", "count"), [(Telling(), 19), (Alone(), 60)])
def test_small_work_and_rankers_that_do_not_say_so_stay_here(two_workers: None, ranker: Any, count: int) -> None:
    assert {process for process, _, _ in ranked(ranker, jobs(count))} == {os.getpid()}


def test_one_processor_needs_no_worker(two_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_count_processors", lambda: 1)
    assert {process for process, _, _ in ranked(Telling(), jobs(60))} == {os.getpid()}


def test_a_pool_ranks_as_the_plain_loop_does(two_workers: None) -> None:
    some = [replace(job, query=f"word{place % 4} 1") for place, job in enumerate(jobs(60))]
    ranker = get_retriever("bm25")
    assert ranker.in_pool
    assert ranked(ranker, some) == [job.rank(ranker) for job in some]


def test_few_jobs_are_held_at_a_time(two_workers: None) -> None:
    taken = []

    def telling(some: Sequence[Job]) -> Iterator[Job]:
        for job in some:
            taken.append(job)
            yield job

    orders = rank_jobs(Telling(), telling(jobs(400)), 1600)
    next(orders)
    assert len(taken) < 40
    assert len(list(orders)) == 399


def test_a_worker_that_dies_is_one_clear_line(two_workers: None) -> None:
    with pytest.raises(RpobenchError, match="ranking with deadly: a worker process died") as caught:
        ranked(Deadly(), jobs(60))
    assert "\n" not in str(caught.value)


def test_what_a_ranker_says_in_a_worker_is_heard(two_workers: None) -> None:
    with pytest.raises(RpobenchError, match="query 0: refused"):
        ranked(Refusing(), jobs(60))


def test_a_script_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from rpobench import get_retriever; from rpobench.evidence import pool as ranking\n"
        "ranking.ITEMS_A_WORKER, ranking._count_processors = 2, lambda: 2\n"
        "some = [ranking.Job('a', ['a', 'b'], [None] * 2, '')] * 9\n"
        "print(list(ranking.rank_jobs(get_retriever('bm25'), some, 18)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1 and "call rpobench under `if __name__ == '__main__':`" in done.stderr


@given(st.text(), st.lists(st.text(max_size=3), min_size=2, max_size=4), st.dates(), st.text(max_size=3))
def test_whatever_changes_an_order_changes_the_digest(query: str, texts: list[str], day: date, key: str) -> None:
    job = Job(query, texts, [None] * len(texts), key)
    joined = ["".join(texts[:2]), *texts[2:]]
    others = [
        replace(job, query=query + "x"),
        replace(job, key=key + "x"),
        replace(job, texts=[*texts, ""]),
        replace(job, texts=joined),
        replace(job, texts=[texts[0] + "x", *texts[1:]]),
        replace(job, dates=[day, *job.dates[1:]]),
    ]
    assert job.digest() == replace(job).digest() and job.digest() not in {other.digest() for other in others}
