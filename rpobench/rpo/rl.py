"""Stage 2: GRPO on the task's own per-example score, from few evidence items to many (RPO's multi-context curriculum).

The paper's "progressive multi-context curriculum" is read as: the number of evidence items in the prompt grows from 1
to k over the steps. KL is to the stage-1 policy, which trl keeps as a frozen copy of the adapter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rpobench.rpo.prompts import parse_trajectory, reflection_chat
from rpobench.rpo.training import (
    TrainingProgress,
    TrainingRow,
    load_tokenizer,
    machine_arguments,
    messages,
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
        shown = 1 + (place // prompts) * k // steps
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
    """The reward: the task's score of the rewrite plus a small bonus for form; 0 where nothing parses."""

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
            scored = judge.score(judge.parse(trajectory.rewrite), gold) + FORMAT_BONUS if trajectory else 0.0
            rewards.append(scored)
        return rewards

    return task_score


def variance_note(adapter: Path) -> str:
    """One line on how many groups could teach something: a group whose completions earn the same moves nothing."""
    entries = [json.loads(line) for line in (adapter / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = [entry["frac_reward_zero_std"] for entry in entries if "frac_reward_zero_std" in entry]
    if min(shares) == 1.0:
        return "GRPO: the reward never varied within a group, so this stage taught nothing"
    return f"GRPO: {sum(shares) / len(shares):.0%} of the groups had no reward variance"


def train_grpo(
    rows: Sequence[TrainingRow],
    checkpoint: Path,
    adapter: Path,
    work: Path,
    *,
    steps: int,
    group: int,
    prompts: int,
    k: int,
    learning_rate: float,
    beta: float,
    max_new_tokens: int,
    seed: int,
) -> GRPOTrainer:
    """Train the stage-1 adapter on: `steps` updates of `prompts` groups of `group` completions each."""
    ordered = curriculum(rows, steps=steps, prompts=prompts, k=k, seed=seed)
    arguments = GRPOConfig(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=group,
        gradient_accumulation_steps=prompts,
        steps_per_generation=prompts,  # one generation an update: every checkpoint is on a generation boundary
        num_generations=group,
        max_completion_length=max_new_tokens,
        shuffle_dataset=False,  # the curriculum is an order
        beta=beta,
        learning_rate=learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=1,
        seed=seed,
        **machine_arguments(),
    )
    trainer = GRPOTrainer(
        model=trained_policy(checkpoint, adapter, seed=seed),
        reward_funcs=reward({row.task.name: row.task for row in rows}),
        args=arguments,
        train_dataset=rl_rows(ordered),
        processing_class=load_tokenizer(checkpoint),
        callbacks=[TrainingProgress("GRPO steps")],
    )
    return run_to_end(trainer, work)
