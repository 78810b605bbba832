"""LaMP's main baseline: items by BM25 in the prompt."""

from __future__ import annotations

from rpobench.baselines.rag import Rag


class RagBM25(Rag):
    """BM25 retrieval (Trotman et al. 2014, as LaMP uses it: arXiv 2304.11406, section 3)."""

    name = "rag-bm25"
    retriever = "bm25"
