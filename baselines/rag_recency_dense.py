"""The newest items and the most similar ones, half and half, in the prompt."""

from __future__ import annotations

from rpobench.baselines.rag_dense import RagDense


class RagRecencyDense(RagDense):
    """Recency and Contriever together, as LaMP's released code can (arXiv 2304.11406, section 3)."""

    name = "rag-recency-dense"
    retriever = "recency-dense"
