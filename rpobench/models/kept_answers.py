"""Answers of a model that are kept in a file by their prompt: asked for once, shared by processes, safe from a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpobench.models.meter import Meter
from rpobench.store.identity import KEY, digest
from rpobench.store.locks import locked
from rpobench.store.predictions import append_predictions, read_predictions, read_seconds
from rpobench.store.recorded import recorded_chat_key, recorded_choice_key
from rpobench.terminal import show_progress
from rpobench.types import Chat, Completion, Prediction


@dataclass
class KeptAnswers:
    """One file of answers, each under the key of its prompt.

    What is missing is asked for in chunks, and a chunk is on the disk before the next one is asked for. Processes that
    want the same answers wait for each other, and the second one finds them. A prompt that would have no answer the
    next time either (`permanent`) is kept as such; any other failure stays out of the file, so that the next run asks
    again.

    Attributes:
        file: Where the answers are; need not exist.
        label: What the progress bar calls them.
        chunk: How many prompts are asked for between two writes: what a kill can cost.
        meter: Counts the seconds of making answers, or of waiting for another process that makes some, and what the
            answers that are handed out took.
        asks_refused: Whether prompts that are kept without answer are asked once more.
    """

    file: Path
    label: str
    chunk: int
    meter: Meter = field(default_factory=Meter)
    asks_refused: bool = False
    _is_read: bool = field(default=False, init=False)
    _answers: dict[str, Prediction] = field(default_factory=dict, init=False)
    _failures: dict[str, Prediction] = field(default_factory=dict, init=False)
    _seconds: dict[str, float] = field(default_factory=dict, init=False)

    def predictions(
        self, chats: Sequence[Chat], ask: Callable[[Sequence[int]], Sequence[Prediction]]
    ) -> list[Prediction]:
        """Answers to all chats, asking for those that are missing.

        Args:
            chats: The prompts; equal ones share an answer.
            ask: Asks the model for the chats at these indices and returns an answer for each, in order.

        Returns:
            The answer to each chat, in order. Its `example_id` is the key of the prompt.
        """
        if self.missing(chats):
            started = time.monotonic()
            with locked(self.file):
                self.meter.making_seconds += time.monotonic() - started
                self._read()  # another process may have asked for some of them meanwhile
                self._ask_missing(chats, ask)

        self.meter.worth_seconds += self.seconds(chats)
        return [self._find(chat) or self._failures[prompt_keys(chat)[0]] for chat in chats]

    def completions(
        self, chats: Sequence[Chat], ask: Callable[[Sequence[int]], Sequence[Completion]]
    ) -> list[Completion]:
        """As `predictions`, for answers that are kept as the model gave them.

        Args:
            chats: The prompts; equal ones share an answer.
            ask: Asks the model for the chats at these indices and returns a completion for each, in order. One with a
                `failure` is not kept.

        Returns:
            The completion of each chat, in order.
        """

        def ask_for_records(indices: Sequence[int]) -> list[Prediction]:
            return [_record(completion) for completion in ask(indices)]

        return [_completion(record) for record in self.predictions(chats, ask_for_records)]

    def missing(self, chats: Sequence[Chat]) -> list[int]:
        """The chats that would have to be asked for, each of equal ones once.

        Returns:
            Their indices, ascending.
        """
        first_index: dict[str, int] = {}
        for index, chat in enumerate(chats):
            if self._find(chat) is None:
                first_index.setdefault(prompt_keys(chat)[0], index)

        return list(first_index.values())

    def find_failed(self, chat: Chat) -> Prediction | None:
        """Find what is kept of this chat if it had no answer when it was last asked for; None where it had one."""
        record = self._find(chat) or self._failures.get(prompt_keys(chat)[0])
        return record if record and record.unanswered else None

    @property
    def has_answers(self) -> bool:
        """Whether the model answered anything yet."""
        self._read_once()
        return any(not record.unanswered for record in self._answers.values())

    def seconds(self, chats: Sequence[Chat]) -> float:
        """The seconds that the answers to these chats took when they were made, whoever made them."""
        self._read_once()
        total = 0.0
        for chat in chats:
            total += next((self._seconds[key] for key in prompt_keys(chat) if key in self._seconds), 0.0)
        return total

    def _ask_missing(self, chats: Sequence[Chat], ask: Callable[[Sequence[int]], Sequence[Prediction]]) -> None:
        missing = self.missing(chats)
        with show_progress(self.label, len(missing)) as advance:
            for start in range(0, len(missing), self.chunk):
                indices = missing[start : start + self.chunk]

                started = time.monotonic()
                records = []
                for index, record in zip(indices, ask(indices), strict=True):
                    records.append(replace(record, example_id=prompt_keys(chats[index])[0]))
                seconds = time.monotonic() - started

                self._keep(records, seconds)
                self.meter.making_seconds += seconds
                advance(len(indices))

    def _keep(self, records: Sequence[Prediction], seconds: float) -> None:
        """Write the answers among the records of one chunk, which took `seconds`, and remember the failures."""
        answers = {record.example_id: record for record in records if _is_settled(record)}
        failures = {record.example_id: record for record in records if not _is_settled(record)}
        append_predictions(self.file, list(answers.values()), seconds=seconds)

        self._answers |= answers
        self._failures = {key: record for key, record in self._failures.items() if key not in answers} | failures
        self._seconds |= dict.fromkeys(answers | failures, seconds / len(records))

    def _find(self, chat: Chat) -> Prediction | None:
        self._read_once()
        return next((self._answers[key] for key in prompt_keys(chat) if key in self._answers), None)

    def _read_once(self) -> None:
        if not self._is_read:
            self._read()

    def _read(self) -> None:
        for key, record in read_predictions(self.file).items():
            is_to_be_asked = record.unanswered and self.asks_refused and key not in self._answers
            if _is_settled(record) and not is_to_be_asked:
                self._answers[key] = record
        self._seconds |= read_seconds(self.file)
        self._is_read = True


def _is_settled(record: Prediction) -> bool:
    """Whether asking again would bring nothing else."""
    return record.permanent or not record.unanswered


def prompt_keys(chat: Chat) -> tuple[str, ...]:
    """The keys under which the answer to a prompt may stand in a file.

    The same question has the same key, whoever asks it.

    Returns:
        The key that new answers get, then those that files of earlier versions have, 24 hex digits each.
    """
    return (digest(chat, KEY), recorded_chat_key(chat), recorded_choice_key(chat))


def _record(completion: Completion) -> Prediction:
    """A completion in the form of a line of the file."""
    return Prediction(
        "",
        completion.text,
        completion.text if completion.raw is None else completion.raw,
        usage=completion.usage,
        failure=completion.failure,
        unanswered=completion.failure is not None,
        permanent=completion.permanent,
        truncated=completion.truncated,
    )


def _completion(record: Prediction) -> Completion:
    raw = None if record.raw == record.text else record.raw
    return Completion(record.text, record.usage, record.failure, record.permanent, record.truncated, raw)
