"""Items by meaning in the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.baselines.rag import Rag

from rpobench.api import EvidenceConfig


class RagDense(Rag):
    """Dense retrieval (LaMP, arXiv 2304.11406, section 3: `--set encoder=facebook/contriever`, mean pooling)."""

    name = "rag-dense"
    retriever = "dense"

    class Config(EvidenceConfig):
        """How much evidence, and who reads its meaning."""

        encoder: str = "all-minilm-l6-v2"  # embedded, or a checkpoint on the hub or in a folder

    def retrievers(self) -> Sequence[str]:
        return (f"{self.retriever}:{self.config.encoder}",)
