"""The newest items in the prompt. Data without dates has no newest: n/a there."""

from __future__ import annotations

from rpobench.baselines.rag import Rag


class RagRecency(Rag):
    """Recency (LaMP, arXiv 2304.11406, section 3)."""

    name = "rag-recency"
    retriever = "recency"
