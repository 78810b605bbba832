"""Everything of the history that fits into the prompt, the best items first."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from rpobench.baselines.rag import Rag

from rpobench.api import EvidenceConfig


class FullProfile(Rag):
    """Long-context injection: whole items in BM25's order until the budget is spent, instead of the top few.

    The upper end of LaMP's choice of k (arXiv 2304.11406, section 3).
    """

    name = "full-profile"
    retriever = "bm25"
    presets: ClassVar = {"quick": {"max_evidence_tokens": 600, "max_prompt_tokens": 1024}}

    class Config(EvidenceConfig):
        """As many items as the budget holds."""

        k: int = Field(default=1_000_000, ge=1)
        max_prompt_tokens: int = Field(default=2048, ge=1)
        max_evidence_tokens: int | None = Field(default=1500, ge=1)
