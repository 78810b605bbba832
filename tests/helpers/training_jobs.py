"""Small trainings of a reflection module: their settings, and what they learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpobench.rpo.config import RPOConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training.job import TrainingJob
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem

# Few and fast steps, unless a test changes them.
QUICK_KNOBS = {
    "lora_rank": 4,
    "sft_learning_rate": 1e-2,
    "rl_steps": 2,
    "rl_group": 2,
    "rl_prompts": 2,
    "k": 4,
    "rl_learning_rate": 1e-2,
    "max_new_tokens": 8,
}
EVIDENCE = tuple(ProfileItem(str(i), {"text": f"word {i}", "score": str(1 + i % 5)}) for i in range(4))


def make_job(checkpoint: Path, folder: Path, **knobs: Any) -> TrainingJob:
    """A training of the full form with seed 0."""
    config = RPOConfig(**{**QUICK_KNOBS, **knobs})
    return TrainingJob(Form(), config, checkpoint, ContextWindow(), folder, seed=0)


def make_rows(count: int, task: Task) -> list[TrainingRow]:
    """One row a user, each with four items of evidence."""
    return [
        TrainingRow(task, Example(f"{i}", f"u{i}", f"text {i}"), f"t {i}", f"d {i}", EVIDENCE) for i in range(count)
    ]


def demonstrate(rows: Sequence[TrainingRow]) -> list[Demonstration]:
    """Each row with a trajectory that ends in its target."""
    return [Demonstration(row, Trajectory("likes", "short", row.target)) for row in rows]
