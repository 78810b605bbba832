"""The best checkpoint of a training stage by its figure on held-out users, and an end where that stops improving."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rpobench.store.files import write_text
from rpobench.store.processes import is_first, wait_for_all

Row = TypeVar("Row")


def held_out_users(users: Iterable[str], *, share: float, seed: int) -> set[str]:
    """The users (rounded to `share` of all, none where that is less than half a user) that training does not see."""
    known = sorted(set(users), key=lambda user: hashlib.sha256(f"{seed}/{user}".encode()).hexdigest())
    return set(known[: round(share * len(known))])


class BestAdapter(TrainerCallback):  # type: ignore[misc]  # transformers is read untyped
    """Keeps in `folder` the adapter with the best value of `metric` and every value measured, step by step.

    The values are on disk, so that a killed training knows what it had found. Training ends after `patience`
    evaluations without a better one. An evaluation within an interval of `eval_steps` comes from a resume
    (`eval_on_start`) and counts for nothing; the one after the last step counts.
    """

    def __init__(self, folder: Path, metric: str, *, higher: bool, patience: int | None = None) -> None:
        self._folder, self._metric, self._sign, self._patience = folder, metric, 1 if higher else -1, patience
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
        step, values = state.global_step, dict(self.values())
        if step % int(args.eval_steps) and step != state.max_steps:
            return
        if step not in values and is_first():
            value = metrics[self._metric]
            if math.isnan(value):  # of a training that diverged: worse than any other, which no comparison would say
                value = -self._sign * math.inf
            if all(self._sign * value > self._sign * other for other in values.values()):
                self._keep(model)
            values[step] = value
            write_text(self._folder / "values.json", json.dumps(list(values.items())))
        wait_for_all()  # so that all processes stop at the same step
        if self.over(step):
            control.should_training_stop = True

    def over(self, step: int) -> bool:
        """Whether what was measured up to this step, the last that was trained, ends the training."""
        known = self.values()
        return bool(self._patience and known and known[-1][0] <= step and self._since_best(known) >= self._patience)

    def _keep(self, model: Any) -> None:
        half = self._folder / "part"
        shutil.rmtree(half, ignore_errors=True)
        model.save_pretrained(str(half), selected_adapters=["default"])
        shutil.rmtree(self._folder / "adapter", ignore_errors=True)
        half.rename(self._folder / "adapter")

    def values(self) -> list[tuple[int, float]]:
        """Step and value of each evaluation so far."""
        file = self._folder / "values.json"
        return [(step, value) for step, value in json.loads(file.read_text())] if file.exists() else []

    def _since_best(self, known: Sequence[tuple[int, float]]) -> int:
        signed = [self._sign * value for _, value in known]
        return len(signed) - 1 - signed.index(max(signed))
