"""Which prompts stage 2 sees in which order: RPO's "progressive multi-context curriculum" and what it is compared with.

Read as: the number of evidence items in the prompt grows from 1 to k over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from rpobench.rpo.questions import TrainingRow
from rpobench.task import Task

Curriculum = Literal["fixed", "progressive", "reverse"]


def curriculum(
    rows: Sequence[TrainingRow], *, steps: int, prompts: int, k: int, seed: int, kind: Curriculum = "progressive"
) -> list[TrainingRow]:
    """The prompts of each step in order: `prompts` rows a step, tasks in turn.

    `progressive` shows 1 item in the first step and k in the last, `reverse` the other way round, `fixed` k in all.
    """
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
        chosen.append(replace(row, evidence=row.evidence[: _shown(place // prompts, steps, k, kind)]))
    return chosen


def _shown(step: int, steps: int, k: int, kind: Curriculum) -> int:
    """Evidence items in a step, counted from 0."""
    if kind == "fixed":
        return k
    done = step if kind == "progressive" else steps - 1 - step
    return 1 + done * (k - 1) // max(1, steps - 1)
