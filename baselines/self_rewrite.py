"""Draft, then the same base model rewrites it from the evidence by prompt alone: RPO's shape without its training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from rpobench.baselines.rewriting import critique_chat, rewrite_chat

from rpobench.method.config import QUICK_EVIDENCE, EvidenceConfig
from rpobench.method.context import Context, PredictContext
from rpobench.method.contract import Method
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, Usage

CRITIQUE_TOKENS = 48


class SelfRewrite(Method):
    """Untrained rewriting: RPO (arXiv 2511.05286) without SFT and RL, in the way of Self-Refine (arXiv 2303.17651)."""

    name = "self-rewrite"
    presets: ClassVar = {"quick": QUICK_EVIDENCE}

    class Config(EvidenceConfig):
        """How much evidence."""

    critique: ClassVar[bool] = False

    def retrievers(self) -> Sequence[str]:
        return ("bm25",)

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        asked = [(task, Example("x", "x", "x"), "x", ()) for task in tasks]
        chats = [(rewrite_chat(*one), rewrite_chat(*one, "x"), critique_chat(*one)) for one in asked]
        twins = [_blank(*one[:2]) for one in asked if one[0].labels]
        return [(chats, CRITIQUE_TOKENS), *([twins] if twins else [])]

    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        drafts = ctx.drafts(task, examples)
        shown = ctx.evidence(task, examples, retriever="bm25", limits=self.config)
        rows = [(example, drafts[example.id].text, evidence) for example, evidence in zip(examples, shown, strict=True)]
        said = self._critiques(task, rows, ctx) if self.critique else [None] * len(rows)
        chats = [
            rewrite_chat(task, example, draft, evidence.items, one.text if one else None)
            for (example, draft, evidence), one in zip(rows, said, strict=True)
        ]
        answers = ctx.answer(task, chats, neutral=[_blank(task, example) for example in examples])
        for (example, draft, evidence), one, completion in zip(rows, said, answers, strict=True):
            if one and one.failure:
                completion = replace(completion, failure=f"no critique ({one.failure})")
            made = ctx.prediction(task, example, completion)
            usage = drafts[example.id].usage + made.usage + (one.usage if one else Usage())
            yield replace(
                made,
                draft=draft,
                evidence=evidence.ids,
                cut=evidence.cut,
                usage=usage,
                trajectory=one.text if one else None,
            )

    def _critiques(
        self, task: Task, rows: Sequence[tuple[Example, str, Evidence]], ctx: Context
    ) -> Sequence[Completion | None]:
        chats = [critique_chat(task, example, draft, evidence.items) for example, draft, evidence in rows]
        return ctx.base_model.generate(chats, Decoding(max_new_tokens=CRITIQUE_TOKENS))


def _blank(task: Task, example: Example) -> Chat:
    """As `answering.blank`, in the words of the rewriter: neither input nor draft, history nor critique."""
    return rewrite_chat(task, task.neutral(example), "N/A", ())
