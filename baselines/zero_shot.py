"""No history: the base model's draft is the answer. Every other method is measured from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpobench.api import Example, Method, PredictContext, Prediction, Task, reread_prediction


class ZeroShot(Method):
    """Answers with the shared draft (LaMP, arXiv 2304.11406: the non-personalized setting)."""

    name = "zero-shot"
    reads_profile = False

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        drafts = context.get_drafts(task, examples)
        for example in examples:
            draft = drafts[example.id]
            yield replace(draft, draft=draft.text)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction:
        """Read the draft, which is the answer."""
        draft = reread_prediction(task, prediction)
        return replace(draft, draft=draft.text)
