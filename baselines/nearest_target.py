"""The answer of the most similar past item: nearest neighbour within one history, without any model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rpobench.api import UNCUT, EvidenceConfig, Example, Method, MethodConfig, PredictContext, Prediction, Task

NO_PAST_ANSWER = "no past answer to copy"
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class NearestTarget(Method):
    """The output of the user's best item by `retriever` (LaMP's BM25, arXiv 2304.11406, section 3).

    A user without a past answer gets one that needs neither training nor a model: the first sentence of the input for
    texts, the middle rating, or the task's first label. Such predictions are counted as failed.
    """

    name = "nearest-target"
    version = "2"

    class Config(MethodConfig):
        """Who decides which item is the nearest."""

        retriever: str = "bm25"

    def applies_to(self, task: Task) -> bool:
        return bool(task.answer_field)

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        # The item is copied and never shown to a model, so nothing needs to be cut.
        limits = EvidenceConfig(k=1, max_prompt_tokens=UNCUT)
        nearest_items = context.choose_evidence(task, examples, retriever=self.config.retriever, limits=limits)

        for example, evidence in zip(examples, nearest_items, strict=True):
            text = evidence.items[0].fields[task.answer_field] if evidence.items else ""
            failure = None if text else NO_PAST_ANSWER
            answer = text or _cold_start_answer(task, example)
            yield Prediction(example.id, answer, answer, evidence=evidence.ids, failure=failure)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction:
        """Return the prediction: no model wrote it."""
        return prediction


def _cold_start_answer(task: Task, example: Example) -> str:
    """The answer to a user of whom nothing is known."""
    if task.kind == "text":
        return SENTENCE_END.split(task.content(example), maxsplit=1)[0]

    position = len(task.labels) // 2 if task.kind == "rating" else 0
    return task.labels[position]
