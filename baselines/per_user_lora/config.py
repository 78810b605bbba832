"""The knobs of one LoRA adapter a user, and what an adapter is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from rpobench.api import Chat
from rpobench.rpo.config import ModuleConfig

Lesson = tuple[Chat, str]  # what a model reads, and what it is to write


@dataclass(frozen=True)
class AdapterTraining:
    """How each user's adapter is trained.

    Attributes:
        rank: Of the LoRA matrices.
        epochs: How often each lesson is read.
        learning_rate: At the start; it falls to 0 in a line.
        batch: How many lessons make a step.
        seed: Draws the first weights and the order of the lessons.
    """

    rank: int
    epochs: float
    learning_rate: float
    batch: int
    seed: int

    def fields(self) -> dict[str, object]:
        """Return what names an adapter, under names that never change."""
        return {
            "rank": self.rank,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "batch": self.batch,
            "seed": self.seed,
        }


class AdapterConfig(ModuleConfig):
    """The knobs of the adapter that all users share, and of each user's; the latter were not tuned."""

    user_items: int = Field(default=64, ge=1)  # pairs that an adapter is trained on at most
    user_rank: int = Field(default=8, ge=1)
    user_epochs: float = Field(default=2.0, gt=0)
    user_learning_rate: float = Field(default=5e-4, gt=0)
    user_batch: int = Field(default=4, ge=1)
    user_memory_mb: int = Field(default=256, ge=0)  # of users' adapters in memory at a time

    def training(self, seed: int) -> AdapterTraining:
        """Return what a user's adapter depends on beside its lessons."""
        return AdapterTraining(self.user_rank, self.user_epochs, self.user_learning_rate, self.user_batch, seed)
