"""Stage 2: GRPO on the task's own per-example score, from few evidence items to many (RPO's multi-context curriculum).

The paper's "progressive multi-context curriculum" is read as: the number of evidence items in the prompt grows from 1
to k over the steps. KL is to the stage-1 policy, which trl keeps as a frozen copy of the adapter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rpobench.rpo.prompts import parse_trajectory, reflection_chat
from rpobench.rpo.room import CHAT_TOKENS, messages
from rpobench.rpo.training import (
    TrainingProgress,
    TrainingRow,
    load_tokenizer,
    machine_arguments,
    run_to_end,
    trained_policy,
)
from rpobench.task import Task

FORMAT_BONUS = 0.1  # small beside the score, so that form is never worth an answer


def curriculum(rows: Sequence[TrainingRow], *, steps: int, prompts: int, k: int, seed: int) -> list[TrainingRow]:
    """The prompts of each step in order: `prompts` rows a step, tasks in turn, evidence growing from 1 item to k."""
    random = Random(seed)
    queues: dict[Task, list[TrainingRow]] = {}
    for row in rows:
        queues.setdefault(row.task, []).append(row)
    orders = {task: random.sample(queue, len(queue)) for task, queue in queues.items()}
    tasks = list(orders)
    chosen = []
    for place in range(steps * prompts):
        task = tasks[place % len(tasks)]
        row = orders[task][place // len(tasks) % len(orders[task])]
        shown = 1 + (place // prompts) * (k - 1) // max(1, steps - 1)
        chosen.append(replace(row, evidence=row.evidence[:shown]))
    return chosen


def rl_rows(rows: Sequence[TrainingRow]) -> Dataset:
    """Prompts with what the reward needs beside them."""
    return Dataset.from_list(
        [
            {
                "prompt": messages(reflection_chat(row.task, row.example, row.draft, row.evidence)),
                "task": row.task.name,
                "target": row.target,
            }
            for row in rows
        ]
    )


def reward(tasks: Mapping[str, Task]) -> Callable[..., list[float]]:
    """The reward: the task's score of the rewrite plus a small bonus for form; 0 where there is no answer in it."""

    def task_score(
        completions: list[list[dict[str, str]]],
        task: list[str],
        target: list[str],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float]:
        rewards = []
        for completion, name, gold in zip(completions, task, target, strict=True):
            trajectory = parse_trajectory(completion[0]["content"])
            if log_metric:
                log_metric("parse_rate", float(trajectory is not None))
            judge = tasks[name]
            text = judge.parse(trajectory.rewrite) if trajectory else ""
            rewards.append(judge.score(text, gold) + FORMAT_BONUS if text else 0.0)
        return rewards

    return task_score


def variance_note(adapter: Path) -> str:
    """One line on how many groups could teach something: a group whose completions earn the same moves nothing."""
    entries = [json.loads(line) for line in (adapter / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = [entry["frac_reward_zero_std"] for entry in entries if "frac_reward_zero_std" in entry]
    if min(shares) == 1.0:
        return "GRPO: the reward never varied within a group, so this stage taught nothing"
    return f"GRPO: {sum(shares) / len(shares):.0%} of the groups had no reward variance"


@dataclass(frozen=True)
class GRPOSettings:
    """The knobs of stage 2: `steps` updates of `prompts` groups of `group` completions each, with 1 to `k` items."""

    steps: int
    group: int
    prompts: int
    k: int
    learning_rate: float
    beta: float  # weight of the KL to the stage-1 policy
    max_new_tokens: int


def train_grpo(
    rows: Sequence[TrainingRow], checkpoint: Path, adapter: Path, work: Path, settings: GRPOSettings, *, seed: int
) -> GRPOTrainer:
    """Train the stage-1 adapter on."""
    ordered = curriculum(rows, steps=settings.steps, prompts=settings.prompts, k=settings.k, seed=seed)
    trainer = GRPOTrainer(
        model=trained_policy(checkpoint, adapter, seed=seed),
        reward_funcs=reward({row.task.name: row.task for row in rows}),
        args=_arguments(settings, work, seed),
        train_dataset=rl_rows(ordered),
        processing_class=load_tokenizer(checkpoint),
        callbacks=[TrainingProgress("GRPO steps")],
    )
    return run_to_end(trainer, work)


def _arguments(settings: GRPOSettings, work: Path, seed: int) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(work),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.group,
        gradient_accumulation_steps=settings.prompts,
        steps_per_generation=settings.prompts,  # one generation an update: every checkpoint is on its boundary
        num_generations=settings.group,
        max_completion_length=settings.max_new_tokens,
        chat_template_kwargs=dict(CHAT_TOKENS),
        shuffle_dataset=False,  # the curriculum is an order
        beta=settings.beta,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=1,
        seed=seed,
        **machine_arguments(),
    )
