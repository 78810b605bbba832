"""Evidence: the profile items a model is shown, ranked and cut to a token budget, equally for every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rpobench.evidence.budget import Tokenizer, count_whole_items, fit_evidence
from rpobench.evidence.rankings import Rankings
from rpobench.evidence.retrievers import Retriever
from rpobench.method.config import EvidenceConfig
from rpobench.task.contract import Task
from rpobench.types import Evidence, Example, ProfileItem


class RankedEvidence:
    """Ranks each profile once for a retriever and task, then cuts the best items to the budget.

    Args:
        get_retriever: Returns a retriever by its name.
        get_tokenizer: Returns the tokenizer that counts; called when there is something to cut.
        seed: For retrievers that draw lots.
        rankings_folder: Where the rankings of large sets are kept (`evidence.rankings`); None keeps none.
    """

    def __init__(
        self,
        get_retriever: Callable[[str], Retriever],
        get_tokenizer: Callable[[], Tokenizer],
        *,
        seed: int,
        rankings_folder: Path | None = None,
    ) -> None:
        self.rankings = Rankings(seed, rankings_folder)

        self._get_retriever = get_retriever
        self._get_tokenizer = get_tokenizer

        # What was used so far, for `list_identities`.
        self._tokenizer: Tokenizer | None = None
        self._used_retrievers: dict[str, Retriever] = {}

    def choose_evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        """Choose the best items of each example's profile.

        Args:
            task: Words queries and items.
            examples: Whose profiles are ranked.
            retriever: The name of what ranks them.
            limits: How much evidence.

        Returns:
            The evidence of each example, in order; empty where the profile is.
        """
        ranker = self._get_retriever(retriever)
        rankings = self.rankings.rank(task, examples, ranker)

        best_items = []
        for example, ranking in zip(examples, rankings, strict=True):
            best_items.append([example.profile[index] for index in ranking[: limits.k]])

        if any(best_items):
            self._used_retrievers[retriever] = ranker

        return self.cut_to_budget(task, examples, best_items, limits)

    def cut_to_budget(
        self,
        task: Task,
        examples: Sequence[Example],
        ranked_items: Sequence[Sequence[ProfileItem]],
        limits: EvidenceConfig,
    ) -> list[Evidence]:
        """Cut items to the budget.

        Args:
            task: Words the prompt and the items.
            examples: What is answered.
            ranked_items: The items that were chosen for each example, best first.
            limits: How much evidence.

        Returns:
            The evidence of each example, in order; empty where no items were chosen.
        """
        if not any(ranked_items):
            return [Evidence()] * len(examples)

        self._tokenizer = tokenizer = self._get_tokenizer()

        evidence = []
        for example, items in zip(examples, ranked_items, strict=True):
            count = count_whole_items(task, items, limits.max_evidence_tokens, tokenizer)
            evidence.append(fit_evidence(task, example, items[:count], limits.max_prompt_tokens, tokenizer))

        return evidence

    def list_identities(self) -> dict[str, Any]:
        """List what ranked and cut evidence so far, as a run's environment stores it.

        Returns:
            `reference_tokenizer`, an identity, and `retrievers`, a sorted list of identities; nothing where there was
            no evidence.
        """
        if self._tokenizer is None:
            return {}

        identities = sorted(retriever.identity for retriever in self._used_retrievers.values())
        return {"reference_tokenizer": self._tokenizer.identity, "retrievers": identities}
