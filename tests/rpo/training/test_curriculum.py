"""The order of GRPO's prompts, and how much evidence each of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from training_jobs import make_rows, make_rows_of_two_tasks

from rpobench.rpo.training.curriculum import order_prompts
from rpobench.rpo.training_rows import TrainingRow


def count_items(prompts: Sequence[TrainingRow]) -> list[int]:
    return [len(prompt.evidence) for prompt in prompts]


@pytest.mark.parametrize(
    ("curriculum", "item_counts"), [("progressive", [1, 2, 4]), ("reverse", [4, 2, 1]), ("fixed", [4, 4, 4])]
)
def test_each_curriculum_shows_its_number_of_items(curriculum: Any, item_counts: list[int]) -> None:
    prompts = order_prompts(make_rows(4), steps=3, prompts_per_step=2, k=4, seed=0, curriculum=curriculum)

    assert count_items(prompts[::2]) == item_counts


def test_a_row_with_fewer_items_than_k_goes_through_them_all() -> None:
    rows = [replace(row, evidence=row.evidence[:2]) for row in make_rows(2)]

    prompts = order_prompts(rows, steps=4, prompts_per_step=1, k=8, seed=0)

    assert count_items(prompts) == [1, 1, 1, 2]


def test_a_row_without_items_shows_none() -> None:
    rows = [replace(row, evidence=()) for row in make_rows(2)]

    prompts = order_prompts(rows, steps=4, prompts_per_step=1, k=8, seed=0)

    assert set(count_items(prompts)) == {0}


def test_the_curriculum_goes_from_one_item_to_k_over_all_tasks() -> None:
    rows = make_rows_of_two_tasks(4)

    prompts = order_prompts(rows, steps=8, prompts_per_step=4, k=4, seed=0)
    assert count_items(prompts[::4]) == [1, 1, 1, 2, 2, 3, 3, 4]
    assert {prompt.task.name for prompt in prompts[:2]} == {"LaMP-3", "LaMP-7"}
    assert prompts[0].evidence == rows[0].evidence[:1]

    prompts = order_prompts(rows, steps=3, prompts_per_step=4, k=4, seed=0)
    assert count_items(prompts[::4]) == [1, 2, 4]
