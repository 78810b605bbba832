"""Cuts evidence to a token budget, the official way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

from rpobench.task.contract import Task
from rpobench.types import Evidence, Example, ProfileItem

INPUT_SHARE = 0.6  # of the budget that the input may claim before the evidence gets its part (official code)
JOINT_TOKENS = 2  # that the official code sets aside for ", and" between two items


class Tokenizer(Protocol):
    """Counts and cuts text; `identity` names everything that changes where it cuts."""

    @property
    def identity(self) -> str:
        """Name and content hash."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...


def count_whole_items(
    task: Task, items: Sequence[ProfileItem], max_evidence_tokens: int | None, tokenizer: Tokenizer
) -> int:
    """Count the items that fit into the evidence budget without being cut.

    Args:
        task: Words the items as a model reads them.
        items: The items, best first.
        max_evidence_tokens: What they may have together; None is no limit.
        tokenizer: Counts.

    Returns:
        How many of the best items fit, at least 1 with a limit.
    """
    if max_evidence_tokens is None:
        return len(items)

    lengths_up_to_item = accumulate(len(tokenizer.encode(task.show(item))) for item in items)
    return max(1, sum(length <= max_evidence_tokens for length in lengths_up_to_item))


def fit_evidence(
    task: Task, example: Example, items: Sequence[ProfileItem], max_prompt_tokens: int, tokenizer: Tokenizer
) -> Evidence:
    """Cut items the official way, so that the official prompt fits a budget.

    Every item gets an equal share of what the input leaves; what it does not use goes to the next (LaMP's released
    code). Where the shares do not even hold the frames (the words around each item's text), the input's claim shrinks
    in steps, as there. Where nothing fits, the official code drops the whole profile without a word. Here the worst
    items go, one by one, and their tokens count as cut.

    Args:
        task: Words the prompt and says which field is cut.
        example: The example that is answered.
        items: The items that are shown, best first.
        max_prompt_tokens: About how many tokens the prompt may have.
        tokenizer: Counts and cuts.

    Returns:
        The items as they are shown, and how many of their tokens were cut.
    """
    remaining_items = list(items)
    while remaining_items:
        fitted = _fit_items(task, example, remaining_items, max_prompt_tokens, tokenizer)
        if fitted is not None:
            cut_tokens = _count_tokens(task, items, tokenizer) - _count_tokens(task, fitted, tokenizer)
            return Evidence(tuple(fitted), cut_tokens)

        remaining_items.pop()

    return Evidence((), _count_tokens(task, items, tokenizer))


def _fit_items(
    task: Task, example: Example, items: Sequence[ProfileItem], max_prompt_tokens: int, tokenizer: Tokenizer
) -> list[ProfileItem] | None:
    """All of these items cut to the budget; None where their frames alone break it."""
    input_tokens = len(tokenizer.encode(example.input))
    first_claim = round(INPUT_SHARE * 10)

    for claim_tenths in range(first_claim, -1, -1):
        free_tokens = max_prompt_tokens - min(input_tokens, claim_tenths * max_prompt_tokens // 10)
        fitted = _cut_items(task, items, free_tokens, tokenizer)
        if fitted is not None:
            return fitted

    return None


def _cut_items(
    task: Task, items: Sequence[ProfileItem], free_tokens: int, tokenizer: Tokenizer
) -> list[ProfileItem] | None:
    """Items with `cut_field` shortened to their shares; None where a share does not hold its item's frame."""
    free_tokens -= task.evidence_tokens(tokenizer.encode)
    share = (free_tokens - JOINT_TOKENS * (len(items) - 1)) // len(items)

    unused_tokens = 0
    fitted = []
    for item in items:
        frame_tokens = task.item_tokens(item, tokenizer.encode)
        limit = share + unused_tokens - frame_tokens
        if limit < 1:
            return None

        text = item.fields[task.cut_field]
        tokens = tokenizer.encode(text)
        if len(tokens) > limit:
            text = tokenizer.decode(tokens[:limit])

        unused_tokens += share - min(len(tokens), limit) - frame_tokens
        fitted.append(replace(item, fields={**item.fields, task.cut_field: text}))

    return fitted


def _count_tokens(task: Task, items: Sequence[ProfileItem], tokenizer: Tokenizer) -> int:
    """How many tokens the texts of these items have together, without their frames."""
    return sum(len(tokenizer.encode(item.fields[task.cut_field])) for item in items)
