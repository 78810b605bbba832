"""The user in a few sentences: a model reads the whole profile once, and every prompt carries its summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpobench.baselines.summaries import Summary, summarize_profiles, summary_wording

from rpobench.api import (
    Chat,
    Evidence,
    EvidenceConfig,
    Example,
    Message,
    Method,
    PredictContext,
    Prediction,
    Task,
    content_free_wording,
)


class ProfileSummary(Method):
    """The official prompt after a summary of the user (Richardson et al. 2023, arXiv 2310.20081, section 2).

    Summaries are written by the base model, once for each profile, and kept.
    """

    name = "profile-summary"

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[summary_wording(task) for task in tasks], *content_free_wording(tasks)]

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        evidence = self.choose_evidence(task, examples, context)
        summaries = summarize_profiles(task, examples, context)

        prompts = []
        for example, summary, best in zip(examples, summaries, evidence, strict=True):
            prompts.append(_add_summary(summary, task.prompt(example, best.items)))

        predictions = context.predict(task, examples, prompts, evidence=evidence)
        for prediction, summary in zip(predictions, summaries, strict=True):
            yield _after_summary(prediction, summary)

    def choose_evidence(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Sequence[Evidence]:
        """Return what each prompt shows beside the summary: no items."""
        return [Evidence()] * len(examples)


class ProfileSummaryRag(ProfileSummary):
    """Summary and retrieved items together (Richardson et al. 2023, arXiv 2310.20081, section 2)."""

    name = "profile-summary-rag"

    class Config(EvidenceConfig):
        """The limits of the items; the summary comes on top."""

    def retrievers(self) -> Sequence[str]:
        return ("bm25",)

    def choose_evidence(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Sequence[Evidence]:
        return context.choose_evidence(task, examples, retriever="bm25", limits=self.config)


def _add_summary(summary: Summary, chat: Chat) -> Chat:
    """The chat with the summary before its question, where there is a summary."""
    if not summary.text:
        return chat

    question = chat[-1]
    return (*chat[:-1], Message(question.role, f"About this user: {summary.text}\n\n{question.content}"))


def _after_summary(prediction: Prediction, summary: Summary) -> Prediction:
    """The prediction with the summary's text, cost and failure."""
    prediction = replace(prediction, usage=summary.usage + prediction.usage, trajectory=summary.text or None)
    if summary.failure:
        failure = f"no summary of the profile ({summary.failure})"
        prediction = replace(prediction, failure=failure, unanswered=True, permanent=summary.permanent)
    return prediction
