"""Items drawn by lot: what any history is worth, before its choice is."""

from __future__ import annotations

from rpobench.baselines.rag import Rag


class RagRandom(Rag):
    """Seeded draws without replacement (LaMP, arXiv 2304.11406, section 3; its released code repeats items)."""

    name = "rag-random"
    retriever = "random"
