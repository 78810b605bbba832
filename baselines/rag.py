"""Context injection: the official LaMP prompt with a retriever's best items. A `rag-*` method names the retriever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from rpobench.method.answering import blank, blanks
from rpobench.method.config import QUICK_EVIDENCE, EvidenceConfig
from rpobench.method.context import PredictContext
from rpobench.method.contract import Method
from rpobench.task.contract import Task
from rpobench.types import Chat, Example, Prediction


class Rag(Method):
    """In-prompt augmentation (LaMP, arXiv 2304.11406, section 3)."""

    presets: ClassVar = {"quick": QUICK_EVIDENCE}

    class Config(EvidenceConfig):
        """How much evidence."""

    retriever: ClassVar[str]

    def retrievers(self) -> Sequence[str]:
        return (self.retriever,)

    def prompts(self, tasks: Sequence[Task]) -> list[list[Chat]]:
        return blanks(tasks)

    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        shown = ctx.evidence(task, examples, retriever=self.retrievers()[0], limits=self.config)
        pairs = list(zip(examples, shown, strict=True))
        answers = ctx.answer(
            task,
            [task.prompt(example, evidence.items) for example, evidence in pairs],
            neutral=[blank(task, example) for example in examples],
        )
        for (example, evidence), completion in zip(pairs, answers, strict=True):
            prediction = ctx.prediction(task, example, completion)
            yield replace(prediction, evidence=evidence.ids, cut=evidence.cut)
