"""The project's progress bar for trainers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rpobench.terminal import show_progress


class TrainingProgress(TrainerCallback):  # type: ignore[misc]  # transformers is read untyped
    """Shows the steps of a training on stderr; one that continues after a kill starts where it was."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._open_bar = ExitStack()
        self._steps_done = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._steps_done = state.global_step
        remaining = state.max_steps - state.global_step
        self._advance = self._open_bar.enter_context(show_progress(self._description, remaining))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._advance(state.global_step - self._steps_done)
        self._steps_done = state.global_step

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._open_bar.close()
