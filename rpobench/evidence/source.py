"""Evidence: the profile items a model is shown, ranked and cut to a token budget, equally for every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rpobench.evidence.budget import Tokenizer, fit_evidence, whole_items
from rpobench.evidence.rankings import Orders
from rpobench.evidence.retrievers import Retriever
from rpobench.method.config import EvidenceConfig
from rpobench.task.contract import Task
from rpobench.types import Evidence, Example, ProfileItem


class RankedEvidence:
    """Ranks each profile once a retriever and task, then cuts the best items to the budget.

    `orders` is the folder that keeps the orders of large sets; see `rpobench.evidence.rankings`.
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
        return self.cut_to_budget(task, examples, best, limits)

    def cut_to_budget(
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
