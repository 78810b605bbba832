"""A retriever that counts what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rpobench.evidence.retrievers import Retriever
from rpobench.registry import get_retriever


class CountingRetriever(Retriever):
    """Ranks as BM25 does, and notes the key of every call."""

    identity = "counting"

    def __init__(self) -> None:
        self.keys: list[str] = []

    @property
    def calls(self) -> int:
        return len(self.keys)

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        self.keys.append(key)
        return get_retriever("bm25").rank(query, texts, dates=dates, key=key)
