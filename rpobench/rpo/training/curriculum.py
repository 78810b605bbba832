"""Which prompts stage 2 sees in which order: RPO's "progressive multi-context curriculum" and what it is compared with.

Read as: the number of evidence items in the prompt grows from 1 to k over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from rpobench.rpo.rows import TrainingRow
from rpobench.task.contract import Task

Curriculum = Literal["fixed", "progressive", "reverse"]


def curriculum(
    rows: Sequence[TrainingRow], *, steps: int, prompts: int, k: int, seed: int, kind: Curriculum = "progressive"
) -> list[TrainingRow]:
    """The prompts of each step in order: `prompts` rows a step, tasks in turn.

    `progressive` shows 1 item in the first step and k in the last (or all of a row that has fewer), `reverse` goes the
    other way round, `fixed` shows k in all.
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
        most = min(k, len(row.evidence))  # a token budget may leave fewer than k
        chosen.append(replace(row, evidence=row.evidence[: _shown(place // prompts, steps, most, kind)]))
    return chosen


def _shown(step: int, steps: int, most: int, kind: Curriculum) -> int:
    """Evidence items of a row that has `most` of them, in a step counted from 0."""
    if kind == "fixed" or most == 0:
        return most
    done = step if kind == "progressive" else steps - 1 - step
    return 1 + done * (most - 1) // max(1, steps - 1)
