"""Keeps the best adapter of a training stage by a figure on held-out users, and ends the stage where that stops rising.

`choose_held_out_users` says which users those are.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rpobench.store.files import write_text
from rpobench.store.processes import is_first, wait_for_all
from rpobench.store.whole_folder import whole_folder


def choose_held_out_users(user_ids: Iterable[str], *, share: float, seed: int) -> set[str]:
    """Choose the users that training does not see.

    Args:
        user_ids: All users, in any order; one may be in it more than once.
        share: How many of them to hold out, in [0, 1].
        seed: What the choice depends on.

    Returns:
        So many users, rounded: none where the share is less than half a user.
    """

    def hash_user(user_id: str) -> str:
        return hashlib.sha256(f"{seed}/{user_id}".encode()).hexdigest()

    ordered = sorted(set(user_ids), key=hash_user)
    return set(ordered[: round(share * len(ordered))])


class BestAdapter(TrainerCallback):  # type: ignore[misc]  # transformers is read untyped
    """Keeps the adapter with the best value of a metric, and every value that was measured, step by step.

    The values are on disk, so that a training that was killed knows them when it continues. An evaluation that a resume
    adds (`eval_on_start`) is not at a multiple of `eval_steps` and counts for nothing; the one after the last step
    counts.
    """

    def __init__(self, folder: Path, metric: str, *, higher: bool, patience: int | None = None) -> None:
        """Prepare the folder.

        Args:
            folder: Where the adapter and the values go.
            metric: The name of the metric in the trainer's evaluations.
            higher: Whether higher values are better.
            patience: After how many evaluations without a better one training ends; None never ends it.
        """
        self._folder = folder
        self._metric = metric
        self._sign = 1 if higher else -1
        self._patience = patience

        folder.mkdir(parents=True, exist_ok=True)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        model: Any,
        **kwargs: Any,
    ) -> None:
        step = state.global_step
        if step % int(args.eval_steps) and step != state.max_steps:
            return

        if is_first():
            self._record(step, metrics[self._metric], model)
        wait_for_all()  # so that all processes stop at the same step

        if self.ends_training(step):
            control.should_training_stop = True

    def ends_training(self, step: int) -> bool:
        """Tell whether the measurements end the training.

        Args:
            step: The last step that was trained.

        Returns:
            True where none of the last `patience` measurements up to this step was better than one before.
        """
        values = self.values()
        if not self._patience or not values:
            return False

        last_step, _ = values[-1]
        return last_step <= step and self._evaluations_since_best(values) >= self._patience

    def values(self) -> list[tuple[int, float]]:
        """Read the step and the value of each evaluation so far."""
        file = self._folder / "values.json"
        return [(step, value) for step, value in json.loads(file.read_text())] if file.exists() else []

    def _record(self, step: int, value: float, model: Any) -> None:
        """Write the value of a step, and the adapter if it is the best so far. A step counts once."""
        values = dict(self.values())
        if step in values:
            return

        if math.isnan(value):  # of a training that diverged: worse than any other, which no comparison would say
            value = -self._sign * math.inf
        if all(self._sign * value > self._sign * other for other in values.values()):
            self._save_adapter(model)

        values[step] = value
        write_text(self._folder / "values.json", json.dumps(list(values.items())))

    def _save_adapter(self, model: Any) -> None:
        adapter = self._folder / "adapter"
        with whole_folder(adapter) as folder:
            model.save_pretrained(str(folder), selected_adapters=["default"])
            shutil.rmtree(adapter, ignore_errors=True)

    def _evaluations_since_best(self, values: Sequence[tuple[int, float]]) -> int:
        signed_values = [self._sign * value for _, value in values]
        return len(signed_values) - 1 - signed_values.index(max(signed_values))
