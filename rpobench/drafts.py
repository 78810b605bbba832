"""Drafts: the base model's answers without history, made once and shared by every method that wants one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rpobench.context import answer, prediction
from rpobench.models.base import LanguageModel
from rpobench.progress import progress
from rpobench.store import ResultStore, append_predictions, read_predictions
from rpobench.task import Task
from rpobench.types import Chat, Example, Prediction

CHUNK = 32  # examples between two writes: what a kill can cost


@dataclass
class StoredDrafts:
    """Drafts on disk, one file for each (base model, task). A draft's key is its prompt, so no two data sets clash."""

    store: ResultStore
    model: LanguageModel
    _known: dict[str, dict[str, Prediction]] = field(default_factory=dict)

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example by example id; missing ones are made and stored first."""
        file = self.store.drafts_file(self._file_key(task))
        if file.name not in self._known:
            self._known[file.name] = read_predictions(file)
        known = self._known[file.name]
        keys = {example.id: _key(task.prompt(example)) for example in examples}
        missing = list({keys[example.id]: example for example in examples if keys[example.id] not in known}.values())
        with progress(f"{task.name} drafts", len(missing)) as advance:
            for start in range(0, len(missing), CHUNK):
                made = [
                    _renamed(draft, keys[draft.example_id]) for draft in self._make(task, missing[start : start + CHUNK])
                ]
                append_predictions(file, made)
                known.update({draft.example_id: draft for draft in made})
                advance(len(made))
        return {example.id: _renamed(known[keys[example.id]], example.id) for example in examples}

    def _make(self, task: Task, examples: Sequence[Example]) -> list[Prediction]:
        completions = answer(
            self.model,
            task,
            [task.prompt(example) for example in examples],
            neutral=[task.prompt(task.neutral(example)) for example in examples],
        )
        return [prediction(task, *pair) for pair in zip(examples, completions, strict=True)]

    def _file_key(self, task: Task) -> str:
        key = f"{self.model.identity}/{task.name}@{task.version}/{task.max_new_tokens}"
        return f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _key(chat: Chat) -> str:
    """Of a prompt: the same question has the same draft, whoever asks it."""
    return hashlib.sha256(repr([asdict(message) for message in chat]).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _renamed(draft: Prediction, example_id: str) -> Prediction:
    return Prediction(**{**{name: getattr(draft, name) for name in Prediction.__slots__}, "example_id": example_id})
