"""A package of somebody else's, for tests: methods, a task and a command that rpobench finds by entry points alone."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.task.contract import Task
from rpobench.task.kinds import PairedItems, TextTask
from rpobench.types import Example, Labelled, Prediction, ProfileItem


class Peek(Method):
    """The answer of the user's first item, else the draft: it lives from the profile alone."""

    name = "peek"

    class Config(Method.Config):
        index: int = 0

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        drafts = context.get_drafts(task, examples)
        for example in examples:
            assert isinstance(example, Example) and not hasattr(example, "target")
            draft = drafts[example.id].text

            text = draft
            if example.profile:
                text = example.profile[self.config.index].fields[task.answer_field]
            yield Prediction(example.id, text, f"raw {text}", draft=draft)


class Ponder(Method):
    """Asks the base model anew for every prediction and uses no draft."""

    name = "ponder"
    reads_profile = False

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            (completion,) = context.answer(task, [task.prompt(example)])
            yield context.read_prediction(task, example, completion)


class Learner(Method):
    """The most frequent training target of each task. Logs every fit; dies in the middle of its first if asked to."""

    name = "learner"
    trains = True
    reads_profile = False

    class Config(Method.Config):
        scope: Literal["task", "shared"] = "task"

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tasks)] if self.config.scope == "shared" else super().fit_groups(tasks)

    def fit(self, train: Mapping[Task, Sequence[Labelled]], context: FitContext) -> None:
        _log({"fit": [task.name for task in train], "examples": [len(labelled) for labelled in train.values()]})
        for task, labelled in train.items():
            context.get_drafts(task, [example.example for example in labelled])

        stage = context.folder / "stage"
        if not stage.exists():
            stage.write_text("done")
            if os.environ.get("TOY_DIE"):
                os.kill(os.getpid(), signal.SIGKILL)

        self._answers = {}
        for task, labelled in train.items():
            targets = Counter(example.target for example in labelled)
            self._answers[task.name] = targets.most_common(1)[0][0]

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, self._answers[task.name], "")

    def save(self, path: Path) -> None:
        (path / "answers.json").write_text(json.dumps(self._answers))

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Learner:
        method = cls(config)
        method._answers = json.loads((path / "answers.json").read_text())
        return method


class Silent(Method):
    """Answers nothing, which is against the contract."""

    name = "silent"

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        yield from ()


class OnlyRatings(Method):
    """Means nothing outside of rating tasks."""

    name = "only-ratings"
    reads_profile = False

    def applies_to(self, task: Task) -> bool:
        return task.kind == "rating"

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, "3", "3")


class Shout(PairedItems, TextTask):
    """A task that is none of LaMP's: say it as the user would."""

    name = "Toy-1"
    noun = "saying"
    fields = ("text",)
    cut_field = "text"
    answer_field = "text"
    instruction = "Say: "

    def wrap(self, item: ProfileItem) -> str:
        return item.fields["text"]


def greet() -> None:
    """A command of somebody else's."""
    print("hello")


def _log(entry: dict[str, object]) -> None:
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a") as log:
            log.write(json.dumps(entry) + "\n")
