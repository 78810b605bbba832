"""Context injection: the official LaMP prompt with a retriever's best items. A `rag-*` method names the retriever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rpobench.api import (
    Chat,
    EvidenceConfig,
    Example,
    Method,
    PredictContext,
    Prediction,
    Task,
    content_free_wording,
)


class Rag(Method):
    """In-prompt augmentation (LaMP, arXiv 2304.11406, section 3)."""

    class Config(EvidenceConfig):
        """How much evidence."""

    retriever: ClassVar[str]

    def retrievers(self) -> Sequence[str]:
        return (self.retriever,)

    def prompts(self, tasks: Sequence[Task]) -> list[list[Chat]]:
        return content_free_wording(tasks)

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        (retriever,) = self.retrievers()
        evidence = context.choose_evidence(task, examples, retriever=retriever, limits=self.config)

        prompts = [task.prompt(example, best.items) for example, best in zip(examples, evidence, strict=True)]
        yield from context.predict(task, examples, prompts, evidence=evidence)
