"""Ranking whole profiles by BM25: the plain loop beside rpobench's first call (worker processes) and its second (disk).

    pytest benchmarks/ranking_speed.py [--benchmark-columns=min,rounds]     (RPOBENCH_BENCH_USERS=200 for a short one)

2,000 users with 200 items each, in LaMP-3's form. What the calls do beside ranking (retrieval texts, files) is in
their times. The numbers in brackets are multiples of the fastest.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from rpobench import get_retriever, get_task
from rpobench.evidence.rankings import Rankings
from rpobench.types import Example, ProfileItem

USERS = int(os.environ.get("RPOBENCH_BENCH_USERS", "2000"))
ITEMS = 200
REVIEW_WORDS = 90
TASK = get_task("LaMP-3")
WORDS = [f"word{number}" for number in range(3000)]
RANKINGS: dict[str, Sequence[Sequence[int]]] = {}  # of every example, by how they were made


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Make users of reviews whose words are drawn as words are: few often, many rarely."""
    rng = random.Random(0)
    shares = list(accumulate(1 / (rank + 3) for rank in range(len(WORDS))))

    def review() -> str:
        return " ".join(rng.choices(WORDS, cum_weights=shares, k=REVIEW_WORDS))

    pool = [ProfileItem(str(number), {"text": review(), "score": "4"}) for number in range(5_000)]

    examples = []
    for user in range(USERS):
        input_text, profile = f"{TASK.instruction}{review()}", tuple(rng.choices(pool, k=ITEMS))
        examples.append(Example(str(user), str(user), input_text, profile))
    return examples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("orders")
    return folder


def rank_plainly(examples: Sequence[Example]) -> list[Sequence[int]]:
    """Rank one profile after another in this process: the plain loop."""
    ranker = get_retriever("bm25")

    rankings = []
    for example in examples:
        texts = [TASK.retrieval_text(item) for item in example.profile]
        rankings.append(ranker.rank(TASK.retrieval_query(example), texts))
    return rankings


def rank_by_rpobench(examples: Sequence[Example], folder: Path) -> Sequence[Sequence[int]]:
    """Rank with nothing in memory; the data's sha256 is known, as it is of every file and data set."""
    return Rankings(0, folder).rank_data_set(TASK, examples, get_retriever("bm25"), "sha256 of the data")


def test_plain_loop(benchmark: Any, examples: list[Example]) -> None:
    """Time the plain loop."""
    RANKINGS["plain"] = benchmark.pedantic(rank_plainly, (examples,), rounds=1)


def test_first_call(benchmark: Any, examples: list[Example], folder: Path) -> None:
    """Time the first call, and compare its rankings."""
    RANKINGS["first"] = benchmark.pedantic(rank_by_rpobench, (examples, folder), rounds=1)
    assert RANKINGS["first"] == RANKINGS["plain"]


def test_second_call(benchmark: Any, examples: list[Example], folder: Path) -> None:
    """Time a call whose rankings are on disk."""
    assert len(list(folder.iterdir())) == 1
    assert benchmark.pedantic(rank_by_rpobench, (examples, folder), rounds=3) == RANKINGS["plain"]
