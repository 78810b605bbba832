"""The answer of the most similar past item: nearest neighbour within one history, without any model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpobench.api import UNCUT, EvidenceConfig, Example, Method, MethodConfig, PredictContext, Prediction, Task


class NearestTarget(Method):
    """The output of the user's best item by `retriever` (LaMP's BM25, arXiv 2304.11406, section 3)."""

    name = "nearest-target"

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
            failure = None if text else "no past answer to copy"
            yield Prediction(example.id, text, text, evidence=evidence.ids, failure=failure)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction:
        """Return the prediction: no model wrote it."""
        return prediction
