"""The knobs of what is learned of users; apart from it, so that they are read without a tensor library."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from rpobench.evidence import EvidenceConfig
from rpobench.models.encoder import EMBEDDED
from rpobench.rpo.config import ModuleConfig


class ChooserConfig(EvidenceConfig):
    """Evidence as everywhere, and how the two judges are fed and trained.

    `shrinkage` and the judges' form were tried out on dev of the synthetic LaMP-2 without a language model, no more.
    """

    retriever: str = "bm25"
    shortlist: int = Field(default=16, ge=1)  # the retriever's best items, which the reranker orders anew
    history: int = Field(default=4, ge=0)  # past items that a user's heads are learned from, one call each
    n: int = Field(default=4, ge=1)  # candidates for a text, one call each; label tasks have their labels
    encoder: str = EMBEDDED
    width: int = Field(default=32, ge=1)
    steps: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    shrinkage: float = Field(default=1.0, ge=0)  # what a user's own part of a head costs against its rows


@dataclass(frozen=True)
class AdapterTraining:
    """How each user's adapter is trained; `seed` also draws its first weights."""

    rank: int
    epochs: float
    learning_rate: float
    batch: int
    seed: int


class AdapterConfig(ModuleConfig):
    """Those of the adapter that all users share, and of each user's; the latter were not tuned."""

    user_items: int = Field(default=64, ge=1)  # pairs that an adapter is trained on at most
    user_rank: int = Field(default=8, ge=1)
    user_epochs: float = Field(default=2.0, gt=0)
    user_learning_rate: float = Field(default=5e-4, gt=0)
    user_batch: int = Field(default=4, ge=1)
    user_memory_mb: int = Field(default=256, ge=0)  # of users' adapters in memory at a time

    def training(self, seed: int) -> AdapterTraining:
        """What a user's adapter depends on beside what it learns from."""
        return AdapterTraining(self.user_rank, self.user_epochs, self.user_learning_rate, self.user_batch, seed)
