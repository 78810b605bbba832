"""What travels through all stages of one training: its settings, and the demonstrations it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rpobench.models.local.chat_tokens import ChatEncoder, read_encoder
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form
from rpobench.rpo.module_input import InputBuilder
from rpobench.rpo.training_rows import Demonstration


@dataclass(frozen=True)
class TrainingJob:
    """The settings that stay the same through all stages of one training.

    Attributes:
        form: What the module reads and writes.
        config: The knobs of the module and of each stage.
        checkpoint: The folder of the untrained reflection model.
        window: What fits into that model's context.
        folder: Where the stages work and keep their adapters. A training that was killed continues from it.
        seed: What every random choice depends on.
    """

    form: Form
    config: ModuleConfig
    checkpoint: Path
    window: ContextWindow
    folder: Path
    seed: int

    @cached_property
    def encoder(self) -> ChatEncoder:
        """Writes the tokens that are trained on as those that will be asked."""
        return read_encoder(self.checkpoint)

    @property
    def input_builder(self) -> InputBuilder:
        """Builds the inputs of training as prediction builds them."""
        return InputBuilder(self.form, self.config, self.window)


@dataclass(frozen=True)
class TrainingData:
    """Demonstrations to train on, and those of other users to measure with. No user is in both."""

    training: Sequence[Demonstration]
    held_out: Sequence[Demonstration] = ()
