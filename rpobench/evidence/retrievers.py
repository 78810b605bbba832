"""Rankers of a profile: which items come first for a query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import Random as SeededRandom
from typing import Protocol

from rank_bm25 import BM25Okapi

from rpobench.types import RpobenchError


class Retriever(Protocol):
    """Orders the texts of one profile. `identity` names everything that changes the order.

    A ranker that works in plain Python may set `in_pool = True` beside it: it is then copied to worker processes where
    much is to be ranked. One that gains from seeing all texts of many profiles at once may have a `prepare(texts)`.
    One that reads dates sets `needs_dates = True`: methods that use it are n/a on data without.
    """

    identity: str

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """Every place of `texts`, best first. `key` seeds a ranker that draws lots."""
        ...


class Random:
    """A seeded order, the same for the same key; without replacement (the official code repeats items)."""

    identity = "random-1"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """See `Retriever.rank`."""
        return SeededRandom(key).sample(range(len(texts)), len(texts))


class Recency:
    """Newest first; of one date the later in the file first. Needs a date on every item."""

    needs_dates = True
    identity = "recency-1"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """See `Retriever.rank`. Raises RpobenchError where an item has no date: file order is no date."""
        days = [day.toordinal() for day in dates or () if day]
        if len(days) < len(texts):
            raise RpobenchError("retriever recency needs a date on every profile item: this data has none, use bm25")
        return sorted(range(len(texts)), key=lambda place: (days[place], place), reverse=True)


class BM25:
    """Okapi BM25 over words split at white space, as LaMP's released code ranks; ties keep file order."""

    identity = "bm25okapi-0.2.2"
    in_pool = True

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """See `Retriever.rank`."""
        if not any(text.split() for text in texts):
            return range(len(texts))
        scores = BM25Okapi([text.split() for text in texts]).get_scores(query.split())
        return sorted(range(len(texts)), key=lambda place: (-scores[place], place))
