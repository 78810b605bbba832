"""The user in a few sentences: a model reads the whole profile once, and every prompt carries what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from rpobench.baselines.summaries import Summary, summaries, summary_form

from rpobench.method.answering import blank, blanks
from rpobench.method.config import QUICK_EVIDENCE, EvidenceConfig
from rpobench.method.context import Context, PredictContext
from rpobench.method.contract import Method
from rpobench.task.contract import Task
from rpobench.types import Chat, Evidence, Example, Message, Prediction


class ProfileSummary(Method):
    """The official prompt after a summary of the user (Richardson et al. 2023, arXiv 2310.20081, section 2).

    Summaries are written by the base model, once for each profile, and kept.
    """

    name = "profile-summary"

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[summary_form(task) for task in tasks], *blanks(tasks)]

    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        shown = self.evidence(task, examples, ctx)
        rows = list(zip(examples, summaries(task, examples, ctx), shown, strict=True))
        answers = ctx.answer(
            task,
            [_after(summary, task.prompt(example, one.items)) for example, summary, one in rows],
            neutral=[blank(task, example) for example in examples],
        )
        for (example, summary, one), completion in zip(rows, answers, strict=True):
            if summary.failure:
                completion = replace(completion, failure=f"no summary of the profile ({summary.failure})")
            made = ctx.prediction(task, example, completion)
            yield replace(
                made, evidence=one.ids, cut=one.cut, usage=summary.usage + made.usage, trajectory=summary.text or None
            )

    def evidence(self, task: Task, examples: Sequence[Example], ctx: Context) -> Sequence[Evidence]:
        """No items beside the summary."""
        return [Evidence()] * len(examples)


class ProfileSummaryRag(ProfileSummary):
    """Summary and retrieved items together (Richardson et al. 2023, arXiv 2310.20081, section 2)."""

    name = "profile-summary-rag"
    presets: ClassVar = {"quick": QUICK_EVIDENCE}

    class Config(EvidenceConfig):
        """The limits of the items; the summary comes on top."""

    def retrievers(self) -> Sequence[str]:
        return ("bm25",)

    def evidence(self, task: Task, examples: Sequence[Example], ctx: Context) -> Sequence[Evidence]:
        return ctx.evidence(task, examples, retriever="bm25", limits=self.config)


def _after(summary: Summary, chat: Chat) -> Chat:
    """The chat with the summary before its question, where there is one."""
    if not summary.text:
        return chat
    return (*chat[:-1], Message(chat[-1].role, f"About this user: {summary.text}\n\n{chat[-1].content}"))
