"""Retrievers, which rank a profile: which items come first for a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from random import Random as SeededRandom
from typing import ClassVar

from rank_bm25 import BM25Okapi

from rpobench.types import RpobenchError


class Retriever(ABC):
    """Orders the texts of one profile. The base class of every retriever.

    Attributes:
        needs_dates: True where it reads dates: methods that use it are n/a on data without.
        in_pool: True where it works in plain Python: it is then copied to worker processes where much is to be ranked.
        batches_texts: True where it gains from seeing the texts of many profiles at once: `prepare` gets them first.
        draws_lots: False where the order does not depend on `key`: an untrained method that uses it then runs once for
            all seeds.
    """

    needs_dates: ClassVar[bool] = False
    in_pool: ClassVar[bool] = False
    batches_texts: ClassVar[bool] = False
    draws_lots: ClassVar[bool] = True

    @property
    @abstractmethod
    def identity(self) -> str:
        """What names everything that changes the order: part of every spec and of the names of kept rankings.

        A class attribute will do.
        """

    @property
    def encoder(self) -> str | None:
        """The identity of the model that makes its vectors; None without one."""
        return None

    def prepare(self, texts: Sequence[str]) -> None:
        """Get ready for these texts, queries and items of many profiles. Called where `batches_texts` is set."""

    @abstractmethod
    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """Rank the items of one profile.

        Args:
            query: What the items are compared with.
            texts: One text an item.
            dates: One date an item, None where it has none.
            key: Seeds a retriever that draws lots; names the example.

        Returns:
            Every index of `texts`, best first.
        """


class Random(Retriever):
    """A seeded order, the same for the same key; without replacement (the official code repeats items)."""

    identity = "random-1"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        return SeededRandom(key).sample(range(len(texts)), len(texts))


class Recency(Retriever):
    """Newest first; of one date the later in the file first. Needs a date on every item."""

    needs_dates = True
    draws_lots = False
    identity = "recency-1"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """See `Retriever.rank`. Raises RpobenchError where an item has no date: file order is no date."""
        days = [day.toordinal() for day in dates or () if day]

        if len(days) < len(texts):
            raise RpobenchError("retriever recency needs a date on every profile item: this data has none, use bm25")

        return sorted(range(len(texts)), key=lambda index: (days[index], index), reverse=True)


class BM25(Retriever):
    """Okapi BM25 over words split at white space, as LaMP's released code ranks; ties keep file order."""

    identity = "bm25okapi-0.2.2"
    in_pool = True
    draws_lots = False

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        if not any(text.split() for text in texts):
            return range(len(texts))

        scores = BM25Okapi([text.split() for text in texts]).get_scores(query.split())
        return sorted(range(len(texts)), key=lambda index: (-scores[index], index))
