"""The contexts that the runner lends a method: base model, shared drafts, fair evidence, a folder and a seed.

Everything that must be equal between methods (evidence text, drafts, how a label is chosen) is here and not in methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from rpobench.method.answering import TextPrivacy, answer, content_free_prompt, read_prediction
from rpobench.method.config import EvidenceConfig
from rpobench.method.left_out import LeftOut
from rpobench.models.protocol import LanguageModel
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, ProfileItem, RpobenchError


class DraftStore(Protocol):
    """The base model's answers without history, made once for each (base model, task, data) and kept on disk."""

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Return the draft of each example by example id; missing ones are made and stored first."""
        ...

    def generate_once(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """Return the model's text for each chat, in order. Texts are kept under `name` by prompt."""
        ...


class EvidenceSource(Protocol):
    """Ranks profiles and cuts the best items to a token budget, equally for every method."""

    def choose_evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        """Return the evidence of each example, in order; empty where the profile is."""
        ...

    def cut_to_budget(
        self,
        task: Task,
        examples: Sequence[Example],
        ranked_items: Sequence[Sequence[ProfileItem]],
        limits: EvidenceConfig,
    ) -> list[Evidence]:
        """Cut the items that a method ranked itself, best first; empty evidence where there are no items."""
        ...


@dataclass(frozen=True)
class Context:
    """What `Method.fit` and `Method.predict` are both lent. See `FitContext` and `PredictContext`.

    Attributes:
        base_model: The black box.
        draft_store: Its answers without history, shared by all methods.
        evidence_source: Profile items, ranked and cut. A method that ranks items itself has them cut by its
            `cut_to_budget`.
        seed: Of everything that draws lots.
        evidence_limits: How much evidence `choose_evidence` shows unless it is told otherwise: the limits among the
            method's knobs, as preset and `--set` leave them. None for a method without such knobs.
    """

    base_model: LanguageModel
    draft_store: DraftStore
    evidence_source: EvidenceSource
    seed: int
    evidence_limits: EvidenceConfig | None = field(default=None, kw_only=True)

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Return the shared drafts of these examples by example id.

        A draft that the model gives no answer to has a `failure`; in a fit it is missing from the mapping.
        """
        return self.draft_store.get_drafts(task, examples)

    def generate_once(
        self,
        name: str,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Sequence[Completion]:
        """Let the base model write to each chat, once for all methods and runs: summaries of users and the like.

        Args:
            name: What the texts are; they are kept under it.
            chats: What the model is asked.
            max_new_tokens: How long a text may get.
            temperature: 0 decodes greedily.
            seed: Of a sample, another one for each sample of the same chat. None where decoding is greedy.

        Returns:
            One completion for each chat, in order.
        """
        decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

        return self.draft_store.generate_once(name, chats, decoding, self.base_model)

    def choose_evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig | None = None
    ) -> list[Evidence]:
        """Choose profile items for each example, cut alike for every method.

        Args:
            task: The task of the examples.
            examples: Whose profiles are ranked.
            retriever: The name of a retriever, with what it takes after a colon.
            limits: How much evidence; None is `evidence_limits`, the same budget as every other method's.

        Returns:
            The evidence of each example, in order; empty where the profile is.

        Raises:
            RpobenchError: There are no limits.
        """
        limits = limits or self.evidence_limits
        if limits is None:
            raise RpobenchError(
                "choose_evidence: the method's Config has no evidence limits: write `class Config(EvidenceConfig)`, "
                "or name the retriever in retrievers() and leave Config out"
            )
        return self.evidence_source.choose_evidence(task, examples, retriever=retriever, limits=limits)

    def answer(
        self,
        task: Task,
        chats: Sequence[Chat],
        *,
        model: LanguageModel | None = None,
        neutral: Sequence[Chat] | None = None,
    ) -> Sequence[Completion]:
        """Let a model answer chats: label tasks by a choice over the labels, text tasks by greedy decoding.

        Args:
            task: The task of all chats.
            chats: What the model is asked.
            model: The model that answers; None is the base model.
            neutral: One chat without content for each chat, which calibrates the choice of a label.

        Returns:
            One completion for each chat, in order.
        """
        return answer(model or self.base_model, task, chats, neutral=neutral)

    def read_prediction(self, task: Task, example: Example, completion: Completion) -> Prediction:
        """Read a completion as this example's prediction; see `method.answering.read_prediction`."""
        return read_prediction(task, example, completion)

    def predict(
        self,
        task: Task,
        examples: Sequence[Example],
        chats: Sequence[Chat],
        *,
        evidence: Sequence[Evidence] | None = None,
        neutral: Sequence[Chat] | None = None,
    ) -> Iterator[Prediction]:
        """Let the base model answer one chat for each example. This is how most methods end.

        Args:
            task: The task of the examples.
            examples: What is predicted.
            chats: The prompt of each example, in order.
            evidence: What each prompt shows of the history; the predictions record it. None where it shows nothing.
            neutral: The prompt of each example without content, which calibrates the choice of a label. None is the
                official prompt (`method.answering.content_free_prompt`).

        Yields:
            One prediction for each example, in order.
        """
        if neutral is None:
            neutral = [content_free_prompt(task, example) for example in examples]
        if evidence is None:
            evidence = [Evidence()] * len(examples)

        completions = self.answer(task, chats, neutral=neutral)

        for example, shown_evidence, completion in zip(examples, evidence, completions, strict=True):
            prediction = self.read_prediction(task, example, completion)
            yield replace(prediction, evidence=shown_evidence.ids, cut=shown_evidence.cut)


@dataclass(frozen=True)
class FitContext(Context):
    """What `Method.fit` is lent.

    Attributes:
        folder: Where a fit keeps its files. It is the same after a kill, and removed when the fit is finished.
        left_out: Takes training examples that the fit goes on without, since a model refused them. Drafts that were
            refused are in it already, and `get_drafts` lacks them.
        privacy: What of the training data stays out of shared caches.
    """

    folder: Path
    left_out: LeftOut = field(default_factory=LeftOut)
    privacy: TextPrivacy = field(default_factory=TextPrivacy)


@dataclass(frozen=True)
class PredictContext(Context):
    """What `Method.predict` is lent.

    Attributes:
        users: The folder in which a method keeps what it learns of single users (`rpobench.method.per_user`).
    """

    users: Path
