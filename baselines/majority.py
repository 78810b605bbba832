"""The user's most frequent answer: what a prior alone is worth, without any model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median_low
from typing import Literal

from pydantic import BaseModel

from rpobench.method.config import MethodConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Prediction


class Majority(Method):
    """The most frequent label of the user's items, the median of her ratings; of all training targets where none is.

    The median minimizes MAE, the mean (`rating=mean`) RMSE. LaMP-1's items carry no label: everybody gets the answer of
    all users there.
    """

    name = "majority"
    trains = True
    only_counts = True

    class Config(MethodConfig):
        rating: Literal["median", "mean"] = "median"

    def __init__(self, config: BaseModel, of_all: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        self._of_all = dict(of_all or {})

    def applies_to(self, task: Task) -> bool:
        return task.kind != "text"

    def fit(self, train: Mapping[Task, Sequence[Labelled]], ctx: FitContext) -> None:
        for task, labelled in train.items():
            self._of_all[task.name] = self._typical(task, [one.target for one in labelled])

    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            own = [item.fields[task.answer_field] for item in example.profile] if task.answer_field else []
            text = self._typical(task, own) if own else self._of_all[task.name]
            yield Prediction(example.id, text, text)

    def _typical(self, task: Task, answers: Sequence[str]) -> str:
        if task.kind == "label":
            counts = Counter(answers)
            return max(task.labels, key=lambda label: counts[label])
        ratings = [float(answer) for answer in answers]
        return f"{fmean(ratings) if self.config.rating == 'mean' else median_low(ratings):g}"

    def save(self, path: Path) -> None:
        (path / "of_all.json").write_text(json.dumps(self._of_all), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Majority:
        return cls(config, json.loads((path / "of_all.json").read_text(encoding="utf-8")))
