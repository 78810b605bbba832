"""Retrievers that read meaning: dense vectors, alone or together with BM25 or dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import chain

from rpobench.evidence.retrievers import BM25, Recency, Retriever
from rpobench.models.encoder import EMBEDDED, Encoder

RRF = 60  # the constant of reciprocal rank fusion (Cormack et al. 2009, section 2)


class Dense(Retriever):
    """By the dot product of query and text (Contriever in LaMP, arXiv 2304.11406, section 3); ties keep file order."""

    batches_texts = True
    draws_lots = False

    def __init__(self, encoder: str = EMBEDDED) -> None:
        self._encoder = Encoder(encoder)

    @property
    def encoder(self) -> str:
        """Identity of the model that makes the vectors."""
        return self._encoder.identity

    @property
    def identity(self) -> str:
        """Name of the ranking with the encoder's identity."""
        return f"dense-1+{self.encoder}"

    def prepare(self, texts: Sequence[str]) -> None:
        """Encode all texts together."""
        self._encoder.store_vectors(texts)

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        if not texts:
            return []

        vectors = self._encoder.encode([query, *texts])
        scores = vectors[1:] @ vectors[0]
        return sorted(range(len(texts)), key=lambda index: (-scores[index], index))


class Hybrid(Dense):
    """Reciprocal rank fusion of BM25 and dense (Cormack et al. 2009): the sum of 1 / (60 + rank)."""

    @property
    def identity(self) -> str:
        return f"hybrid-1+{BM25.identity}+{super().identity}"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        scores: dict[int, float] = defaultdict(float)
        for ranking in (BM25().rank(query, texts), super().rank(query, texts)):
            for rank, index in enumerate(ranking, start=1):
                scores[index] += 1 / (RRF + rank)

        return sorted(range(len(texts)), key=lambda index: (-scores[index], index))


class RecencyDense(Dense):
    """The newest and the most similar in turn, so that of any even k half are each. Needs a date on every item."""

    needs_dates = True

    @property
    def identity(self) -> str:
        return f"recency-{super().identity}"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        """See `Retriever.rank`. Raises RpobenchError where an item has no date."""
        newest_first = Recency().rank(query, texts, dates=dates)
        most_similar_first = super().rank(query, texts)

        pairs = zip(newest_first, most_similar_first, strict=True)
        return list(dict.fromkeys(chain.from_iterable(pairs)))
