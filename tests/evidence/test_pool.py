"""Ranking many profiles: worker processes for much work alone, the same rankings, clear errors."""

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
from rpobench.evidence import pool as pool_module
from rpobench.evidence.pool import Job, rank_jobs
from rpobench.types import RpobenchError

TASK = get_task("LaMP-3")


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors, and little work is much."""
    monkeypatch.setattr(pool_module, "_count_processors", lambda: 2)
    monkeypatch.setattr(pool_module, "ITEMS_A_WORKER", 40)
    monkeypatch.setattr(pool_module, "ITEMS_A_CHUNK", 8)


def make_jobs(count: int, size: int = 4) -> list[Job]:
    texts = [f"word{number} of {number % 3}" for number in range(size)]
    return [Job(str(number), texts, [None] * size, "k") for number in range(count)]


def rank(retriever: Any, jobs: Sequence[Job]) -> list[Sequence[int]]:
    return list(rank_jobs(retriever, iter(jobs), sum(len(job.texts) for job in jobs)))


def test_much_work_goes_to_workers_and_comes_back_in_order(two_workers: None) -> None:
    import torch  # noqa: F401  # here it is loaded, there it must not be

    reports = rank(Telling(), make_jobs(60))

    assert [query for _, _, query in reports] == list(range(60))
    assert os.getpid() not in {process for process, _, _ in reports}
    assert not any(has_torch for _, has_torch, _ in reports)


@pytest.mark.parametrize(("retriever", "count"), [(Telling(), 19), (Alone(), 60)])
def test_small_work_and_other_retrievers_stay_here(two_workers: None, retriever: Any, count: int) -> None:
    reports = rank(retriever, make_jobs(count))

    assert {process for process, _, _ in reports} == {os.getpid()}


def test_one_processor_needs_no_worker(two_workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_count_processors", lambda: 1)

    reports = rank(Telling(), make_jobs(60))

    assert {process for process, _, _ in reports} == {os.getpid()}


def test_a_pool_ranks_as_the_plain_loop_does(two_workers: None) -> None:
    jobs = [replace(job, query=f"word{number % 4} 1") for number, job in enumerate(make_jobs(60))]
    retriever = get_retriever("bm25")

    assert retriever.in_pool
    assert rank(retriever, jobs) == [job.rank(retriever) for job in jobs]


def test_few_jobs_are_in_memory_at_a_time(two_workers: None) -> None:
    drawn_jobs = []

    def draw_jobs() -> Iterator[Job]:
        for job in make_jobs(400):
            drawn_jobs.append(job)
            yield job

    rankings = rank_jobs(Telling(), draw_jobs(), 1600)
    next(rankings)

    assert len(drawn_jobs) < 40
    assert len(list(rankings)) == 399


def test_a_worker_that_dies_is_one_clear_line(two_workers: None) -> None:
    with pytest.raises(RpobenchError, match="ranking with deadly: a worker process died") as caught:
        rank(Deadly(), make_jobs(60))

    assert "\n" not in str(caught.value)


def test_an_error_in_a_worker_is_raised_here(two_workers: None) -> None:
    with pytest.raises(RpobenchError, match="query 0: refused"):
        rank(Refusing(), make_jobs(60))


def test_a_script_without_a_main_guard_is_told_of_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from rpobench import get_retriever; from rpobench.evidence import pool\n"
        "pool.ITEMS_A_WORKER, pool._count_processors = 2, lambda: 2\n"
        "jobs = [pool.Job('a', ['a', 'b'], [None] * 2, '')] * 9\n"
        "print(list(pool.rank_jobs(get_retriever('bm25'), jobs, 18)))\n"
    )

    process = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)

    assert process.returncode == 1 and "call rpobench under `if __name__ == '__main__':`" in process.stderr


@given(st.text(), st.lists(st.text(max_size=3), min_size=2, max_size=4), st.dates(), st.text(max_size=3))
def test_whatever_changes_a_ranking_changes_the_digest(query: str, texts: list[str], day: date, key: str) -> None:
    job = Job(query, texts, [None] * len(texts), key)
    joined_texts = ["".join(texts[:2]), *texts[2:]]

    others = [
        replace(job, query=query + "x"),
        replace(job, key=key + "x"),
        replace(job, texts=[*texts, ""]),
        replace(job, texts=joined_texts),
        replace(job, texts=[texts[0] + "x", *texts[1:]]),
        replace(job, dates=[day, *job.dates[1:]]),
    ]

    assert job.digest() == replace(job).digest() and job.digest() not in {other.digest() for other in others}
