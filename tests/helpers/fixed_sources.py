"""Drafts and evidence that are fixed by rule, for tests that fit or predict without a base model and a retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpobench.evidence.source import Evidence
from rpobench.types import Example, Prediction, Usage


class FixedDrafts:
    """Gives every example the same text as its draft, at the cost of one call."""

    def __init__(self, text: str = "so tired", *, allowed: bool = True) -> None:
        self.text = text
        self.allowed = allowed

    def get_drafts(self, task: Any, examples: Sequence[Example]) -> dict[str, Prediction]:
        assert self.allowed, "a method without drafts asked for them"
        return {example.id: Prediction(example.id, self.text, self.text, usage=Usage(calls=1)) for example in examples}


class FirstItems:
    """Takes the first items of each profile as its evidence."""

    def choose_evidence(self, task: Any, examples: Sequence[Example], *, limits: Any, **_: Any) -> list[Evidence]:
        return [Evidence(example.profile[: limits.k]) for example in examples]
