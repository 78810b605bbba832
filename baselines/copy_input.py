"""The input given back: what a text task's score owes to shared words alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from rpobench.api import Example, Method, MethodConfig, PredictContext, Prediction, Task

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class CopyInput(Method):
    """The first sentence of the input (the lead, as summarization's lead baseline), or all of it (`part=all`)."""

    name = "copy-input"
    reads_profile = False

    class Config(MethodConfig):
        """Which part of the input is copied."""

        part: Literal["sentence", "all"] = "sentence"

    def applies_to(self, task: Task) -> bool:
        return task.kind == "text"

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            text = task.content(example)
            if self.config.part == "sentence":
                text = SENTENCE_END.split(text, maxsplit=1)[0]

            yield Prediction(example.id, text, text)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction:
        """Return the prediction: no model wrote it."""
        return prediction
