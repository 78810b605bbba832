"""Batches under a token budget: every row once, in order, and fewer at a time when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rpobench.models.local.batching import TokenBudget, pad_left
from rpobench.types import RpobenchError

LENGTHS = st.lists(st.integers(1, 500), max_size=60)


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 20))
def test_batches_hold_every_row_once_and_keep_the_budget(lengths: list[int], tokens: int, rows: int) -> None:
    batches = TokenBudget(tokens, rows).batches(lengths)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens


@given(LENGTHS)
def test_batches_go_from_long_to_short(lengths: list[int]) -> None:
    batches = TokenBudget(800, 8).batches(lengths)

    order = [lengths[index] for batch in batches for index in batch]
    assert order == sorted(lengths, reverse=True)


@given(LENGTHS, st.integers(500, 3000))
def test_results_keep_the_order_of_rows_when_memory_is_short(lengths: list[int], memory: int) -> None:
    budget = TokenBudget(20000, 64)

    def work(batch: list[int]) -> Sequence[int]:
        if len(batch) * max(lengths[index] for index in batch) > memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [lengths[index] for index in batch]

    assert budget.run(lengths, work) == lengths


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_the_budget_halves_for_good_after_running_out_of_memory(error: RuntimeError) -> None:
    budget = TokenBudget(800, 64)
    sizes: list[int] = []

    def work(batch: list[int]) -> Sequence[int]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise error
        return batch

    results = budget.run([100] * 8, work)

    assert results == list(range(8))
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert budget.tokens == 200


def test_one_row_beyond_the_memory_is_an_error_with_its_length() -> None:
    def work(batch: list[int]) -> Sequence[int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RpobenchError, match=r"prompt of 321 tokens.*lower max_prompt_tokens"):
        TokenBudget().run([321], work)


def test_another_runtime_error_is_not_taken_for_missing_memory() -> None:
    def work(batch: list[int]) -> Sequence[int]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        TokenBudget().run([1, 2], work)


def test_padding_stands_left_and_is_masked() -> None:
    ids, mask = pad_left([[5, 6, 7], [8]], filler=2)

    assert ids.tolist() == [[5, 6, 7], [2, 2, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
