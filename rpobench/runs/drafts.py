"""Drafts: the base model's answers without history, made once and shared by every method that wants one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rpobench.method.answering import answer, blank, model_for, naming_the_example, prediction
from rpobench.models.kept_answers import write_once
from rpobench.models.prices import at_todays_price
from rpobench.models.protocol import LanguageModel, batch_of
from rpobench.store.locks import locked
from rpobench.store.predictions import append_predictions, read_predictions, seconds_spent
from rpobench.store.result_store import ResultStore
from rpobench.task.contract import Task
from rpobench.terminal import progress
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, RpobenchError

CHUNK = 32  # examples between two writes: what a kill can cost


@dataclass
class StoredDrafts:
    """Drafts on disk, one file for each (base model, task). A draft's key is its prompt, so no two data sets clash.

    `making` is the seconds spent here on making drafts and other texts of the base model, or on waiting for another
    process that does, `worth` the seconds that those handed out took when they were made: who asks for one is charged
    the same, whether it was made for him or found. So are dollars, at the model's price of today. `on_making` is told
    the seconds of each piece of `making`.
    """

    store: ResultStore
    model: LanguageModel
    making: float = 0.0
    worth: float = 0.0
    on_making: Callable[[float], None] | None = None
    _known: dict[str, dict[str, Prediction]] = field(default_factory=dict)
    _seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    _failures: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example by example id; missing ones are made and stored first."""
        keys = {example.id: _key(task.prompt(example)) for example in examples}
        missing = self.missing(task, examples)
        if missing:
            waiting = time.monotonic()
            with locked(self._file(task)):
                self._spent(time.monotonic() - waiting)
                self._forget(task)  # another process may have made some meanwhile
                self._make_missing(task, list(missing.values()), keys)
        known, seconds = self._read(task)
        self.worth += sum(seconds[key] for key in keys.values())
        found = {example.id: replace(known[keys[example.id]], example_id=example.id) for example in examples}
        return {id_: replace(one, usage=at_todays_price(self.model, one.usage)) for id_, one in found.items()}

    def written(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """The model's text for each chat, in order; see `write_once`."""
        found = write_once(self.store.written_folder, name, model, chats, decoding)
        self._spent(found.making)
        self.worth += found.worth
        return [replace(one, usage=at_todays_price(model, one.usage)) for one in found.texts]

    def missing(self, task: Task, examples: Sequence[Example]) -> dict[str, Example]:
        """What would have to be drafted for these examples, by key: equal prompts have one draft."""
        known, _ = self._read(task)
        keyed = {_key(task.prompt(example)): example for example in examples}
        return {key: example for key, example in keyed.items() if key not in known or known[key].unanswered}

    def no_answer(self, task: Task, example: Example) -> str | None:
        """Why the model gave no draft of this example when it was last asked; None where it did."""
        return self._failures.get((task.name, _key(task.prompt(example))))

    def _make_missing(self, task: Task, asked: Sequence[Example], keys: Mapping[str, str]) -> None:
        known, seconds = self._read(task)
        missing = list(self.missing(task, asked).values())
        with progress(f"{task.name} drafts", len(missing)) as advance:
            size = batch_of(self.model, CHUNK)
            for start in range(0, len(missing), size):
                started = time.monotonic()
                made = [
                    replace(draft, example_id=keys[draft.example_id])
                    for draft in self._make(task, missing[start : start + size])
                ]
                took = time.monotonic() - started
                # A draft without answer is nothing to share: it stays here, and the next run asks again.
                append_predictions(self._file(task), [one for one in made if not one.unanswered], seconds=took)
                self._failures |= {(task.name, one.example_id): one.failure if one.unanswered else None for one in made}
                self._spent(took)
                known.update({draft.example_id: draft for draft in made})
                seconds.update({draft.example_id: took / len(made) for draft in made})
                advance(len(made))

    def _spent(self, seconds: float) -> None:
        self.making += seconds
        if self.on_making:
            self.on_making(seconds)

    def _forget(self, task: Task) -> None:
        self._known.pop(self._file(task).name, None)

    def _read(self, task: Task) -> tuple[dict[str, Prediction], dict[str, float]]:
        file = self._file(task)
        if file.name not in self._known:
            self._known[file.name], self._seconds[file.name] = read_predictions(file), seconds_spent(file)
        return self._known[file.name], self._seconds[file.name]

    def _make(self, task: Task, examples: Sequence[Example]) -> list[Prediction]:
        chats = [task.prompt(example) for example in examples]
        neutral = [blank(task, example) for example in examples]
        with naming_the_example(task, examples):
            completions = answer(model_for(self.model, [task]), task, chats, neutral=neutral)
        return [prediction(task, *pair) for pair in zip(examples, completions, strict=True)]

    def _file(self, task: Task) -> Path:
        key = f"{self.model.identity}/{task.name}@{task.version}/{task.max_new_tokens}"
        return self.store.drafts_file(f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}")


@dataclass(frozen=True)
class CompleteDrafts:
    """The same drafts for a fit, which must not learn from one that is missing."""

    store: StoredDrafts

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example. Raises RpobenchError where one stayed without answer."""
        found = self.store.drafts(task, examples)
        failures = [draft.failure for draft in found.values() if draft.unanswered]
        if failures:
            raise RpobenchError(
                f"{task.name}: {len(failures)} of {len(found)} training drafts have no answer ({failures[0]}): "
                "the same command asks them again and goes on"
            )
        return found

    def written(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """The model's text for each chat, in order."""
        return self.store.written(name, chats, decoding, model)


def _key(chat: Chat) -> str:
    """Of a prompt: the same question has the same draft, whoever asks it."""
    return hashlib.sha256(repr([asdict(message) for message in chat]).encode("utf-8", "surrogatepass")).hexdigest()[:24]
