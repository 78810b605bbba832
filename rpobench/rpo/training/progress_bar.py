"""The project's progress bar for trainers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rpobench.terminal import show_progress

FIGURES = ("loss", "reward", "eval_loss", "eval_reward")  # that stand beside the steps, as far as a stage logs them


class TrainingProgress(TrainerCallback):  # type: ignore[misc]  # transformers is read untyped
    """Shows the steps of a training on stderr with loss and reward; one that was killed continues where it was."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._open_bar = ExitStack()
        self._steps_done = 0
        self._figures: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._steps_done = state.global_step
        remaining = state.max_steps - state.global_step
        self._advance = self._open_bar.enter_context(show_progress(self._description, remaining))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._advance(state.global_step - self._steps_done)
        self._steps_done = state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in FIGURES:
            if logs and name in logs:
                self._figures[name] = float(logs[name])

        note = ", ".join(f"{name} {self._figures[name]:.3f}" for name in FIGURES if name in self._figures)
        self._advance(0, note)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._open_bar.close()
