"""Retrievers: what each puts first, ties, empty profiles, missing dates."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpobench import get_retriever
from rpobench.registry import list_names
from rpobench.types import RpobenchError

TEXTS = ["red apple pie", "blue sky", "green apple", "grey stone", "cold tea"]


def test_bm25_puts_the_rarer_shared_words_first() -> None:
    assert get_retriever("bm25").rank("apple pie", TEXTS)[:2] == [0, 2]


def test_bm25_keeps_file_order_where_scores_are_equal() -> None:
    assert list(get_retriever("bm25").rank("nothing shared", TEXTS)) == [0, 1, 2, 3, 4]
    assert list(get_retriever("bm25").rank("a", ["a", "a", "a"])) == [0, 1, 2]


def test_bm25_splits_at_white_space_alone() -> None:
    assert get_retriever("bm25").rank("Apple apple,", ["apple", "pear", "Apple", "fig", "apple,"])[0] == 2


def test_random_is_seeded_by_its_key_and_repeats_nothing() -> None:
    rankings = [tuple(get_retriever("random").rank("q", TEXTS, key=str(key))) for key in range(200)]

    first_indices = Counter(ranking[0] for ranking in rankings)
    assert rankings[7] == tuple(get_retriever("random").rank("other", TEXTS, key="7"))
    assert all(sorted(ranking) == [0, 1, 2, 3, 4] for ranking in rankings)
    assert min(first_indices[index] for index in range(5)) > 20


def test_recency_ranks_the_newest_and_the_later_in_file_first() -> None:
    dates = [date(2014, 1, 1), date(2016, 5, 1), date(2014, 1, 1), date(2015, 1, 1), date(2013, 1, 1)]
    assert list(get_retriever("recency").rank("q", TEXTS, dates=dates)) == [1, 3, 2, 0, 4]


@pytest.mark.parametrize("dates", [None, [date(2014, 1, 1), None, None, None, None]])
def test_recency_without_dates_is_refused(dates: list[date | None] | None) -> None:
    with pytest.raises(RpobenchError, match="recency needs a date"):
        get_retriever("recency").rank("q", TEXTS, dates=dates)


@pytest.mark.parametrize("name", list_names("retrievers"))
@given(query=st.text(max_size=20), texts=st.lists(st.text(max_size=20), max_size=6))
def test_every_retriever_ranks_every_text_once(name: str, query: str, texts: list[str]) -> None:
    dates = [date(2014, 1, 1)] * len(texts)
    assert sorted(get_retriever(name).rank(query, texts, dates=dates, key="k")) == list(range(len(texts)))
