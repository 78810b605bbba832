"""A cache of answers behind any language model, in one SQLite file: no request is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rpobench.models.protocol import (
    LanguageModel,
    OnCompletion,
    ReportingModel,
    choose_each,
    generate_each,
    tell_of_earlier_answers,
)
from rpobench.store.identity import SHA256, content_of, digest
from rpobench.store.user_cache import cache_folder, open_database
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

FILE = "answers.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, value TEXT NOT NULL, sha256 TEXT NOT NULL, made REAL NOT NULL
) WITHOUT ROWID"""
Request = Mapping[str, object]  # what is asked of a prompt, such as decoding and number of the sample
VALUE = "CAST(value AS BLOB)"  # bytes, since a damaged value need not be text
SECONDS_A_DAY = 86400


@dataclass(frozen=True)
class CacheInfo:
    """Where a cache is, its size in bytes, and how many answers it holds, in all and of each model's identity."""

    file: str
    bytes: int
    answers: int
    models: dict[str, int]


def open_shared_cache() -> AnswerCache:
    """The cache of this user: `answers.sqlite` in RPOBENCH_CACHE or the user's cache folder."""
    return AnswerCache(cache_folder() / FILE)


class AnswerCache:
    """Completions by key, as JSON. Holds answers and token counts: no prompts, no failures, no API keys.

    The file is made by the first write. Write-ahead logging lets several processes read while one writes.

    Args:
        path: The SQLite file; need not exist.

    Raises:
        RpobenchError: The file is damaged, locked for a minute, or its disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        connection = open_database(self.path, TABLE)
        connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last answers, never the file
        return connection

    def get(self, key: str) -> Completion | None:
        """The completion under a key.

        Args:
            key: As `answer_key` makes it.

        Returns:
            The completion, its call marked as cached; None where there is none, or a damaged one.
        """
        with self._explain_errors():
            row = self._connection.execute(f"SELECT {VALUE}, sha256 FROM answers WHERE key = ?", (key,)).fetchone()

        if row is None or not _is_intact(*row):
            return None
        content = json.loads(row[0])
        return Completion(
            content["text"],
            replace(Usage(**content["usage"]), cached=1),
            truncated=content.get("truncated", False),
            raw=content.get("raw"),
        )

    def put(self, key: str, model: str, completion: Completion) -> None:
        """Store a completion.

        Args:
            key: As `answer_key` makes it.
            model: Identity of the model that gave it.
            completion: One without failure.
        """
        usage = {
            "calls": 1,
            "prompt_tokens": completion.usage.prompt_tokens,
            "completion_tokens": completion.usage.completion_tokens,
            "seconds": completion.usage.seconds,
        }
        content: dict[str, object] = {"text": completion.text, "usage": usage}
        if completion.truncated:
            content["truncated"] = True
        if completion.raw is not None:
            content["raw"] = completion.raw
        value = json.dumps(content, sort_keys=True)
        sha256 = hashlib.sha256(value.encode()).hexdigest()

        with self._explain_errors():
            self._connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (key, model, value, sha256, time.time())
            )

    def info(self) -> CacheInfo:
        """What the cache holds."""
        with self._explain_errors():
            rows = self._connection.execute("SELECT model, COUNT(*) FROM answers GROUP BY model ORDER BY model")
            counts = dict(rows.fetchall())
        return CacheInfo(str(self.path), self.path.stat().st_size, sum(counts.values()), counts)

    def find_damaged(self) -> list[str]:
        """The keys whose values are not what was written, in order.

        Raises:
            RpobenchError: The file itself is damaged.
        """
        with self._explain_errors():
            (verdict,) = self._connection.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)

            rows = self._connection.execute(f"SELECT key, {VALUE}, sha256 FROM answers ORDER BY key")
            return [key for key, value, sha256 in rows if not _is_intact(value, sha256)]

    def prune(self, *, older_than: float) -> int:
        """Remove old answers and damaged ones.

        Args:
            older_than: Days since an answer was made.

        Returns:
            How many were removed.
        """
        damaged = self.find_damaged()
        oldest = time.time() - older_than * SECONDS_A_DAY

        with self._explain_errors():
            removed = self._connection.execute("DELETE FROM answers WHERE made < ?", (oldest,)).rowcount
            for key in damaged:
                removed += self._connection.execute("DELETE FROM answers WHERE key = ?", (key,)).rowcount
            self._connection.execute("VACUUM")
        return removed

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RpobenchError(
                f"{self.path}: {error}; make room there, move the file away, or set RPOBENCH_CACHE to another folder"
            ) from error


def _is_intact(value: bytes, sha256: str) -> bool:
    return hashlib.sha256(value).hexdigest() == sha256


def answer_key(identity: str, chat: Chat, request: Request) -> str:
    """The key of an answer: a hash of all that decides it.

    Args:
        identity: Of the model.
        chat: The prompt.
        request: What is asked of it, such as decoding and number of the sample; values with a canonical form.

    Returns:
        sha256 in 64 hex digits.
    """
    content = {
        "model": content_of(identity),
        "messages": [[message.role, message.content] for message in chat],
        **request,
    }
    return digest(content, SHA256)


@dataclass(frozen=True)
class CachedModel(ReportingModel):
    """A language model whose answers are looked up first and stored as they come in.

    Sampling without a seed is asked anew each time, as are failures. Likelihoods are not stored.

    Attributes:
        inner: The model that is asked.
        cache: Where its answers are.
    """

    inner: LanguageModel
    cache: AnswerCache

    @property
    def identity(self) -> str:
        """The model's own."""
        return self.inner.identity

    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `generate`; what is cached is reported first."""
        is_sampled = decoding.temperature > 0
        if is_sampled and decoding.seed is None:
            return generate_each(self.inner, chats, decoding, on_completion)

        # Equal chats are samples of their own, numbered in order; without sampling they have one answer.
        repetitions: Counter[Chat] = Counter()
        requests: list[Request] = []
        for chat in chats:
            sample = repetitions[chat] if is_sampled else 0
            requests.append({"decoding": decoding, "sample": sample})
            repetitions[chat] += 1

        def ask(indices: Sequence[int], on_answer: OnCompletion) -> object:
            return generate_each(self.inner, [chats[index] for index in indices], decoding, on_answer)

        return self._complete(chats, requests, ask, on_completion)

    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """As `choose`; what is cached is reported first."""
        requests: list[Request] = []
        for index in range(len(chats)):
            neutral_chat = None if neutral is None else neutral[index]
            requests.append({"options": list(options), "neutral": neutral_chat})

        def ask(indices: Sequence[int], on_answer: OnCompletion) -> object:
            neutral_chats = None if neutral is None else [neutral[index] for index in indices]
            return choose_each(self.inner, [chats[index] for index in indices], options, neutral_chats, on_answer)

        return self._complete(chats, requests, ask, on_completion)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model's own."""
        return self.inner.loglikelihood(chats, texts)

    def _complete(
        self,
        chats: Sequence[Chat],
        requests: Sequence[Request],
        ask: Callable[[Sequence[int], OnCompletion], object],
        on_completion: OnCompletion,
    ) -> list[Completion]:
        """The cached completions, and those that `ask` brings for the other indices. Equal keys are asked once."""
        keys = [answer_key(self.identity, chat, request) for chat, request in zip(chats, requests, strict=True)]
        cached = {key: completion for key in dict.fromkeys(keys) if (completion := self.cache.get(key))}
        if cached:
            tell_of_earlier_answers(self.inner, lambda: True)
        completions: dict[int, Completion] = {}
        for index, key in enumerate(keys):
            if key in cached:
                completions[index] = cached[key]
                on_completion(index, cached[key])

        indices_by_key = _indices_to_ask(chats, keys, cached)
        keys_to_ask = list(indices_by_key)

        def store_answer(position: int, completion: Completion) -> None:
            key = keys_to_ask[position]
            if key in cached:
                return
            if completion.failure is None:
                # A served model's identity may have changed with its first answer.
                first = indices_by_key[key][0]
                self.cache.put(answer_key(self.identity, chats[first], requests[first]), self.identity, completion)

            for index in indices_by_key[key]:
                completions[index] = completion
                on_completion(index, completion)
                # Only the first of equal chats was asked for.
                completion = replace(completion, usage=replace(completion.usage, cached=1))

        if keys_to_ask:
            ask([indices[0] for indices in indices_by_key.values()], store_answer)
        return [completions[index] for index in range(len(chats))]


def _indices_to_ask(chats: Sequence[Chat], keys: Sequence[str], cached: dict[str, Completion]) -> dict[str, list[int]]:
    """Where each key stands that must be asked for.

    A model numbers the samples of a chat by their order in one call, so all of them are asked if one is missing.
    """
    missing_chats = {chat for chat, key in zip(chats, keys, strict=True) if key not in cached}

    indices_by_key: dict[str, list[int]] = {}
    for index, chat in enumerate(chats):
        if chat in missing_chats:
            indices_by_key.setdefault(keys[index], []).append(index)
    return indices_by_key
