"""What the runner lends a method: the base model, shared drafts, fair evidence, fair answering, a folder, a seed.

Everything that must be equal between methods (evidence text, drafts, how a label is chosen) is here and not in methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rpobench.method.answering import answer, prediction
from rpobench.method.config import EvidenceConfig
from rpobench.models.protocol import LanguageModel
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, ProfileItem


class DraftStore(Protocol):
    """The base model's answers without history, made once for each (base model, task, data) and kept on disk."""

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example by example id; missing ones are made and stored first."""
        ...

    def written(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """The model's text for each chat, in order; kept under `name` by prompt."""
        ...


class EvidenceSource(Protocol):
    """Ranks profiles and cuts the best items to a token budget, equally for every method."""

    def evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        """Evidence for each example, in order; empty where the profile is."""
        ...

    def fitted(
        self, task: Task, examples: Sequence[Example], chosen: Sequence[Sequence[ProfileItem]], limits: EvidenceConfig
    ) -> list[Evidence]:
        """Evidence of the items that a method ranked itself, best first; empty where there are none."""
        ...


@dataclass(frozen=True)
class Context:
    """What `Method.fit` and `Method.predict` are both lent. See `FitContext` and `PredictContext`.

    Attributes:
        base_model: The black box.
        draft_store: Its answers without history, shared by all methods.
        evidence_source: Profile items, ranked and cut. A method that ranks items itself has them cut by `fitted`.
        seed: Of everything that draws lots.
    """

    base_model: LanguageModel
    draft_store: DraftStore
    evidence_source: EvidenceSource
    seed: int

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The shared drafts of these examples, by example id."""
        return self.draft_store.drafts(task, examples)

    def written(
        self,
        name: str,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Sequence[Completion]:
        """What the base model writes to each chat, once for all methods and runs: summaries of users and the like.

        Greedy, or a sample: then it takes a seed, and another one for each sample of the same chat.
        """
        decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
        return self.draft_store.written(name, chats, decoding, self.base_model)

    def evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        """Fair evidence for each example, in order, within `limits`: a method's own config, or one made for it."""
        return self.evidence_source.evidence(task, examples, retriever=retriever, limits=limits)

    def answer(
        self,
        task: Task,
        chats: Sequence[Chat],
        *,
        model: LanguageModel | None = None,
        neutral: Sequence[Chat] | None = None,
    ) -> Sequence[Completion]:
        """How every method ends: label tasks by `choose` over the labels, text tasks by the same greedy decoding."""
        return answer(model or self.base_model, task, chats, neutral=neutral)

    def prediction(self, task: Task, example: Example, completion: Completion) -> Prediction:
        """The completion as this example's prediction."""
        return prediction(task, example, completion)


@dataclass(frozen=True)
class FitContext(Context):
    """Lent to `Method.fit`.

    Attributes:
        folder: Where a fit keeps its files. It is the same after a kill, and removed when the fit is finished.
    """

    folder: Path


@dataclass(frozen=True)
class PredictContext(Context):
    """Lent to `Method.predict`.

    Attributes:
        users: The folder in which a method keeps what it learns of single users (`rpobench.method.per_user`).
    """

    users: Path
