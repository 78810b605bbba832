"""Cuts evidence to a token budget, the official way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

from rpobench.task.contract import Task
from rpobench.types import Evidence, Example, ProfileItem

INPUT_SHARE = 0.6  # of the budget that the input may claim before the evidence gets its part (official code)


class Tokenizer(Protocol):
    """Counts and cuts text; `identity` names everything that changes where it cuts."""

    @property
    def identity(self) -> str:
        """Name and content hash."""
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text."""
        ...


def whole_items(task: Task, items: Sequence[ProfileItem], max_evidence_tokens: int | None, tokenizer: Tokenizer) -> int:
    """How many of the items, best first, have `max_evidence_tokens` tokens together as a model reads them; at least
    one of them. None is no limit."""
    if max_evidence_tokens is None:
        return len(items)
    ends = accumulate(len(tokenizer.encode(task.show(item))) for item in items)
    return max(1, sum(end <= max_evidence_tokens for end in ends))


def fit_evidence(
    task: Task, example: Example, items: Sequence[ProfileItem], max_prompt_tokens: int, tokenizer: Tokenizer
) -> Evidence:
    """Items cut the official way, so that the official prompt has about `max_prompt_tokens` tokens at most.

    Every item gets an equal share of what the input leaves; what it does not use goes to the next (LaMP's released
    code). Where the shares do not even hold the items' frames, the input's claim shrinks in steps, as there. Where
    nothing fits the official code drops the whole profile without a word; here the worst items go, one by one, and
    their tokens count as cut.
    """
    kept = list(items)
    while kept:
        fitted = _fit(task, example, kept, max_prompt_tokens, tokenizer)
        if fitted is not None:
            return Evidence(tuple(fitted), _length(task, items, tokenizer) - _length(task, fitted, tokenizer))
        kept.pop()
    return Evidence((), _length(task, items, tokenizer))


def _fit(
    task: Task, example: Example, items: Sequence[ProfileItem], max_prompt_tokens: int, tokenizer: Tokenizer
) -> list[ProfileItem] | None:
    input_tokens = len(tokenizer.encode(example.input))
    tenths = round(INPUT_SHARE * 10)
    for claim in range(tenths, -1, -1):
        room = max_prompt_tokens - min(input_tokens, claim * max_prompt_tokens // 10)
        fitted = _cut(task, items, room, tokenizer)
        if fitted is not None:
            return fitted
    return None


def _cut(task: Task, items: Sequence[ProfileItem], room: int, tokenizer: Tokenizer) -> list[ProfileItem] | None:
    """Items with `cut_field` shortened to their shares, or None where a share does not hold its item's frame."""
    room -= task.evidence_tokens(tokenizer.encode)
    share = (room - 2 * (len(items) - 1)) // len(items)
    saved, fitted = 0, []
    for item in items:
        frame = task.item_tokens(item, tokenizer.encode)
        limit = share + saved - frame
        if limit < 1:
            return None
        tokens = tokenizer.encode(item.fields[task.cut_field])
        text = item.fields[task.cut_field] if len(tokens) <= limit else tokenizer.decode(tokens[:limit])
        saved += share - min(len(tokens), limit) - frame
        fitted.append(replace(item, fields={**item.fields, task.cut_field: text}))
    return fitted


def _length(task: Task, items: Sequence[ProfileItem], tokenizer: Tokenizer) -> int:
    return sum(len(tokenizer.encode(item.fields[task.cut_field])) for item in items)
