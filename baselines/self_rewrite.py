"""Draft, then the same base model rewrites it from the evidence by prompt alone: RPO's shape without its training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from rpobench.baselines.rewriting import critique_chat, rewrite_chat

from rpobench.api import (
    Chat,
    Completion,
    Decoding,
    Evidence,
    EvidenceConfig,
    Example,
    Method,
    PredictContext,
    Prediction,
    Task,
)

CRITIQUE_TOKENS = 48


class SelfRewrite(Method):
    """Untrained rewriting: RPO (arXiv 2511.05286) without SFT and RL, in the way of Self-Refine (arXiv 2303.17651)."""

    name = "self-rewrite"

    class Config(EvidenceConfig):
        """How much evidence."""

    critique: ClassVar[bool] = False

    def retrievers(self) -> Sequence[str]:
        return ("bm25",)

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        stand_in = Example("x", "x", "x")
        chats = []
        for task in tasks:
            rewrites = (rewrite_chat(task, stand_in, "x", ()), rewrite_chat(task, stand_in, "x", (), "x"))
            chats.append((*rewrites, critique_chat(task, stand_in, "x", ())))

        words: list[object] = [(chats, CRITIQUE_TOKENS)]
        content_free = [_content_free_chat(task, stand_in) for task in tasks if task.labels]
        if content_free:
            words.append(content_free)

        return words

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        drafts_by_id = context.get_drafts(task, examples)
        drafts = [drafts_by_id[example.id] for example in examples]
        evidence = context.choose_evidence(task, examples, retriever="bm25", limits=self.config)

        # Ask about each draft, then for its rewrite.
        critiques: Sequence[Completion | None] = [None] * len(examples)
        if self.critique:
            critiques = _ask_for_critiques(task, examples, drafts, evidence, context)

        chats = []
        for example, draft, best, critique in zip(examples, drafts, evidence, critiques, strict=True):
            critique_text = critique.text if critique else None
            chats.append(rewrite_chat(task, example, draft.text, best.items, critique_text))

        # Charge a rewrite with what it was made from.
        neutral = [_content_free_chat(task, example) for example in examples]
        rewrites = context.predict(task, examples, chats, evidence=evidence, neutral=neutral)
        for rewrite, draft, critique in zip(rewrites, drafts, critiques, strict=True):
            rewrite = replace(rewrite, draft=draft.text, usage=draft.usage + rewrite.usage)
            yield rewrite if critique is None else _after_critique(rewrite, critique)


def _ask_for_critiques(
    task: Task,
    examples: Sequence[Example],
    drafts: Sequence[Prediction],
    evidence: Sequence[Evidence],
    context: PredictContext,
) -> Sequence[Completion]:
    chats = [
        critique_chat(task, example, draft.text, best.items)
        for example, draft, best in zip(examples, drafts, evidence, strict=True)
    ]

    return context.base_model.generate(chats, Decoding(max_new_tokens=CRITIQUE_TOKENS))


def _after_critique(rewrite: Prediction, critique: Completion) -> Prediction:
    """A rewrite whose critique failed is no answer, whatever it says."""
    rewrite = replace(rewrite, trajectory=critique.text, usage=rewrite.usage + critique.usage)
    if critique.failure:
        failure = f"no critique ({critique.failure})"
        rewrite = replace(rewrite, failure=failure, unanswered=True, permanent=critique.permanent)
    return rewrite


def _content_free_chat(task: Task, example: Example) -> Chat:
    """`method.answering.content_free_prompt` in the rewriter's words: no input, draft, history or critique."""
    return rewrite_chat(task, task.neutral(example), "N/A", ())
