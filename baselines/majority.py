"""The user's most frequent answer: what a prior alone is worth, without any model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median_low
from typing import Literal

from pydantic import BaseModel

from rpobench.api import Example, FitContext, Labelled, Method, MethodConfig, PredictContext, Prediction, Task

ANSWERS = "of_all.json"  # the file of the typical answer of all training users, by task


class Majority(Method):
    """The most frequent label of the user's items, or the median of her ratings.

    The median minimizes MAE, the mean (`rating=mean`) RMSE. A user without an answer in her items gets the same of all
    training targets. LaMP-1's items carry no label, so there everybody gets the answer of all users.
    """

    name = "majority"
    trains = True
    only_counts = True

    class Config(MethodConfig):
        """How ratings are summed up."""

        rating: Literal["median", "mean"] = "median"

    def __init__(self, config: BaseModel, answers_of_all_users: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        self._answers_of_all_users = dict(answers_of_all_users or {})

    def applies_to(self, task: Task) -> bool:
        return task.kind != "text"

    def fit(self, train: Mapping[Task, Sequence[Labelled]], context: FitContext) -> None:
        for task, labelled in train.items():
            targets = [example.target for example in labelled]
            self._answers_of_all_users[task.name] = self._typical_answer(task, targets)

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            if task.answer_field and example.profile:
                past_answers = [item.fields[task.answer_field] for item in example.profile]
                text = self._typical_answer(task, past_answers)
            else:
                text = self._answers_of_all_users[task.name]

            yield Prediction(example.id, text, text)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction:
        """Return the prediction: no model wrote it."""
        return prediction

    def _typical_answer(self, task: Task, answers: Sequence[str]) -> str:
        """Of labels that are equally frequent the first of the task."""
        if task.kind == "label":
            counts = Counter(answers)
            return max(task.labels, key=lambda label: counts[label])

        ratings = [float(answer) for answer in answers]
        average = fmean(ratings) if self.config.rating == "mean" else median_low(ratings)
        return f"{average:g}"

    def save(self, path: Path) -> None:
        (path / ANSWERS).write_text(json.dumps(self._answers_of_all_users), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Majority:
        return cls(config, json.loads((path / ANSWERS).read_text(encoding="utf-8")))
