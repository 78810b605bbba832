"""Evidence: the profile items a model is shown, ranked and cut to a token budget, equally for every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from rpobench.config import MethodConfig
from rpobench.orders import Orders
from rpobench.retrieval import Retriever
from rpobench.task import Task
from rpobench.types import Evidence, Example, ProfileItem

UNCUT = 1_000_000  # prompt tokens: what no model is shown needs no cutting
INPUT_SHARE = 0.6  # of the budget that the input may claim before the evidence gets its part (official code)


class EvidenceConfig(MethodConfig):
    """How much of a profile a model is shown: the knobs of every method that reads evidence.

    At most `k` items, and of those only so many as have `max_evidence_tokens` tokens together (titles are short,
    reviews are long: a count alone would give one task three times the text of another); then they are cut the official
    way, so that the official prompt has `max_prompt_tokens`. Tokens of the reference tokenizer.
    """

    k: int = Field(default=4, ge=1)
    max_prompt_tokens: int = Field(default=512, ge=1)
    max_evidence_tokens: int | None = Field(default=None, ge=1)


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


class RankedEvidence:
    """Ranks each profile once a retriever and task, then cuts the best items to the budget.

    `orders` is the folder that keeps the orders of large sets; see `rpobench.orders`.
    """

    def __init__(
        self,
        get_retriever: Callable[[str], Retriever],
        get_tokenizer: Callable[[], Tokenizer],
        *,
        seed: int,
        orders: Path | None = None,
    ) -> None:
        self._get_retriever, self._get_tokenizer = get_retriever, get_tokenizer
        self.orders = Orders(seed, orders)
        self._tokenizer: Tokenizer | None = None
        self._used: dict[str, Retriever] = {}

    def evidence(
        self,
        task: Task,
        examples: Sequence[Example],
        *,
        retriever: str,
        limits: EvidenceConfig,
    ) -> list[Evidence]:
        """Evidence for each example, in order; empty where the profile is."""
        ranker = self._get_retriever(retriever)
        orders = self.orders.of(task, examples, ranker)
        best = [
            [one.profile[place] for place in order[: limits.k]] for one, order in zip(examples, orders, strict=True)
        ]
        if any(best):
            self._used[retriever] = ranker
        return self.fitted(task, examples, best, limits)

    def fitted(
        self,
        task: Task,
        examples: Sequence[Example],
        chosen: Sequence[Sequence[ProfileItem]],
        limits: EvidenceConfig,
    ) -> list[Evidence]:
        """Evidence of the items chosen for each example, best first; empty where there are none."""
        if not any(chosen):
            return [Evidence()] * len(examples)
        self._tokenizer = tokenizer = self._get_tokenizer()
        found = []
        for example, items in zip(examples, chosen, strict=True):
            whole = items[: whole_items(task, items, limits.max_evidence_tokens, tokenizer)]
            found.append(fit_evidence(task, example, whole, limits.max_prompt_tokens, tokenizer))
        return found

    def used(self) -> dict[str, Any]:
        """Identities of what cut and what ranked evidence so far; empty where none was taken."""
        if self._tokenizer is None:
            return {}
        ranked = sorted(retriever.identity for retriever in self._used.values())
        return {"reference_tokenizer": self._tokenizer.identity, "retrievers": ranked}


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
