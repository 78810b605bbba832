"""Small trainings of a reflection module: their settings, what they learn from, and whole stages of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpobench import get_task
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem

RATING, TWEET = get_task("LaMP-3"), get_task("LaMP-7")
ADAPTER_FILE = "adapter_model.safetensors"

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


def make_rows(count: int, task: Task = TWEET) -> list[TrainingRow]:
    """One row a user, each with four items of evidence."""
    return [
        TrainingRow(task, Example(f"{i}", f"u{i}", f"text {i}"), f"t {i}", f"d {i}", EVIDENCE) for i in range(count)
    ]


def make_rows_of_two_tasks(count: int) -> list[TrainingRow]:
    """A rating and a tweet of each user, in turn."""
    rows = []
    for i in range(count):
        for task in (RATING, TWEET):
            example = Example(f"{task.name}-{i}", f"u{i}", f"text {i}")
            rows.append(TrainingRow(task, example, str(1 + i % 5), "3", EVIDENCE))
    return rows


def demonstrate(rows: Sequence[TrainingRow]) -> list[Demonstration]:
    """Each row with a trajectory that ends in its target."""
    return [Demonstration(row, Trajectory("likes", "short", row.target)) for row in rows]


def run_sft(checkpoint: Path, folder: Path, data: TrainingData, **knobs: Any) -> Path:
    """Train stage 1 and return the folder of its adapter."""
    from rpobench.rpo.training.sft import train_sft
    from rpobench.rpo.training.stage import run_stage

    job = make_job(checkpoint, folder, **knobs)
    return run_stage(folder, lambda work: train_sft(job, data, work))


def run_grpo(checkpoint: Path, folder: Path, data: TrainingData, sft_adapter: Path, **knobs: Any) -> Path:
    """Train stage 2 by GRPO from a stage-1 adapter and return the folder of its own."""
    from rpobench.rpo.training.grpo import train_grpo
    from rpobench.rpo.training.stage import run_stage

    job = make_job(checkpoint, folder, **knobs)
    return run_stage(folder, lambda work: train_grpo(job, data, sft_adapter, work))


def run_dpo(checkpoint: Path, folder: Path, data: TrainingData, sft_adapter: Path, **knobs: Any) -> Path:
    """Train stage 2 by DPO from a stage-1 adapter and return the folder of its own."""
    from rpobench.rpo.training.dpo import train_dpo
    from rpobench.rpo.training.stage import run_stage

    job = make_job(checkpoint, folder, **knobs)
    return run_stage(folder, lambda work: train_dpo(job, data, sft_adapter, work))
