"""Drafts: the base model's answers without history, made once and shared by every method that wants one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rpobench.context import answer, prediction
from rpobench.locks import locked
from rpobench.models.base import LanguageModel
from rpobench.progress import progress
from rpobench.store import ResultStore, append_predictions, read_predictions, seconds_spent
from rpobench.task import Task
from rpobench.types import Chat, Completion, Decoding, Example, Prediction
from rpobench.written import write_once

CHUNK = 32  # examples between two writes: what a kill can cost


@dataclass
class StoredDrafts:
    """Drafts on disk, one file for each (base model, task). A draft's key is its prompt, so no two data sets clash.

    `making` is the seconds spent here on making drafts or waiting for another process that does, `worth` the seconds
    that the drafts handed out took when they were made: who asks for a draft is charged the same, whether it was made
    for him or found.
    """

    store: ResultStore
    model: LanguageModel
    making: float = 0.0
    worth: float = 0.0
    _known: dict[str, dict[str, Prediction]] = field(default_factory=dict)
    _seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example by example id; missing ones are made and stored first."""
        known, _ = self._read(task)
        keys = {example.id: _key(task.prompt(example)) for example in examples}
        missing = list({keys[example.id]: example for example in examples if keys[example.id] not in known}.values())
        if missing:
            waiting = time.monotonic()
            with locked(self._file(task)):
                self.making += time.monotonic() - waiting
                self._forget(task)  # another process may have made some meanwhile
                self._make_missing(task, missing, keys)
        known, seconds = self._read(task)
        self.worth += sum(seconds[key] for key in keys.values())
        return {example.id: replace(known[keys[example.id]], example_id=example.id) for example in examples}

    def written(self, name: str, chats: Sequence[Chat], decoding: Decoding) -> list[Completion]:
        """The base model's text for each chat, in order; see `write_once`."""
        return write_once(self.store.written_folder, name, self.model, chats, decoding)

    def _make_missing(self, task: Task, asked: Sequence[Example], keys: Mapping[str, str]) -> None:
        known, seconds = self._read(task)
        missing = [example for example in asked if keys[example.id] not in known]
        with progress(f"{task.name} drafts", len(missing)) as advance:
            for start in range(0, len(missing), CHUNK):
                started = time.monotonic()
                made = [
                    replace(draft, example_id=keys[draft.example_id])
                    for draft in self._make(task, missing[start : start + CHUNK])
                ]
                took = time.monotonic() - started
                append_predictions(self._file(task), made, seconds=took)
                self.making += took
                known.update({draft.example_id: draft for draft in made})
                seconds.update({draft.example_id: took / len(made) for draft in made})
                advance(len(made))

    def _forget(self, task: Task) -> None:
        self._known.pop(self._file(task).name, None)

    def _read(self, task: Task) -> tuple[dict[str, Prediction], dict[str, float]]:
        file = self._file(task)
        if file.name not in self._known:
            self._known[file.name], self._seconds[file.name] = read_predictions(file), seconds_spent(file)
        return self._known[file.name], self._seconds[file.name]

    def _make(self, task: Task, examples: Sequence[Example]) -> list[Prediction]:
        completions = answer(
            self.model,
            task,
            [task.prompt(example) for example in examples],
            neutral=[task.prompt(task.neutral(example)) for example in examples],
        )
        return [prediction(task, *pair) for pair in zip(examples, completions, strict=True)]

    def _file(self, task: Task) -> Path:
        key = f"{self.model.identity}/{task.name}@{task.version}/{task.max_new_tokens}"
        return self.store.drafts_file(f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}")


def _key(chat: Chat) -> str:
    """Of a prompt: the same question has the same draft, whoever asks it."""
    return hashlib.sha256(repr([asdict(message) for message in chat]).encode("utf-8", "surrogatepass")).hexdigest()[:24]
