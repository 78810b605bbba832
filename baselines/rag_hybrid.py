"""Items by words and by meaning together in the prompt."""

from __future__ import annotations

from rpobench.baselines.rag_dense import RagDense


class RagHybrid(RagDense):
    """Reciprocal rank fusion (Cormack et al. 2009) of BM25 and dense."""

    name = "rag-hybrid"
    retriever = "hybrid"
