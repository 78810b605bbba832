"""Which prompts stage 2 sees in which order: RPO's "progressive multi-context curriculum" and its rivals.

We read it as follows: the number of evidence items in the prompt grows from 1 to k over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from rpobench.rpo.training_rows import TrainingRow
from rpobench.task.contract import Task

Curriculum = Literal["fixed", "progressive", "reverse"]


def order_prompts(
    rows: Sequence[TrainingRow],
    *,
    steps: int,
    prompts_per_step: int,
    k: int,
    seed: int,
    curriculum: Curriculum = "progressive",
) -> list[TrainingRow]:
    """Choose the prompts of each step, tasks in turn, with as much evidence as the curriculum shows in that step.

    Args:
        rows: The training rows; each is used again when those of its task are used up.
        steps: The steps of the stage.
        prompts_per_step: How many prompts a step has.
        k: The most evidence items that a prompt shows.
        seed: What the order of the rows depends on.
        curriculum: `progressive` shows 1 item in the first step and k (or all of a row that has fewer) in the last,
            `reverse` goes the other way round, `fixed` shows k in all.

    Returns:
        The prompts of all steps, in order.
    """
    random = Random(seed)
    rows_by_task: dict[Task, list[TrainingRow]] = {}
    for row in rows:
        rows_by_task.setdefault(row.task, []).append(row)
    shuffled = {task: random.sample(task_rows, len(task_rows)) for task, task_rows in rows_by_task.items()}

    tasks = list(shuffled)
    prompts = []
    for index in range(steps * prompts_per_step):
        task = tasks[index % len(tasks)]
        row = shuffled[task][index // len(tasks) % len(shuffled[task])]

        most = min(k, len(row.evidence))  # a token budget may leave fewer than k
        item_count = _count_items(index // prompts_per_step, steps, most, curriculum)
        prompts.append(replace(row, evidence=row.evidence[:item_count]))
    return prompts


def _count_items(step: int, steps: int, most: int, curriculum: Curriculum) -> int:
    """How many items a prompt shows in a step, counted from 0, if it has `most` of them."""
    if curriculum == "fixed" or most == 0:
        return most

    steps_done = step if curriculum == "progressive" else steps - 1 - step
    return 1 + steps_done * (most - 1) // max(1, steps - 1)
