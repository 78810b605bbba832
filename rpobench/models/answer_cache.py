"""Answers kept between runs: SQLite behind any language model, so that no request is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rpobench.models.protocol import LanguageModel, Ready, ReportingModel, choose_each, generate_each
from rpobench.store.identity import SHA256, digest
from rpobench.store.user_cache import cache_folder, open_shared
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

FILE = "answers.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, value TEXT NOT NULL, sha256 TEXT NOT NULL, made REAL NOT NULL
) WITHOUT ROWID"""
VALUE = "CAST(value AS BLOB)"  # bytes, since a damaged value need be no text


def shared_cache() -> AnswerCache:
    """The one of this user: `answers.sqlite` in RPOBENCH_CACHE or the user's cache folder."""
    return AnswerCache(cache_folder() / FILE)


class AnswerCache:
    """Completions by key, as JSON. Holds answers and token counts: no prompts, no failures, no keys.

    The file is made by the first write. Write-ahead logging lets several processes read while one writes.

    Raises:
        RpobenchError: the file is damaged, locked for a minute, or its disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        connection = open_shared(self.path, TABLE)
        connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last answers, never the file
        return connection

    def get(self, key: str) -> Completion | None:
        """The completion under this key, its call marked as cached; None where there is none, or a damaged one."""
        with self._faults():
            row = self._connection.execute(f"SELECT {VALUE}, sha256 FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None or not _whole(*row):
            return None
        value = json.loads(row[0])
        return Completion(value["text"], replace(Usage(**value["usage"]), cached=1))

    def put(self, key: str, model: str, completion: Completion) -> None:
        """Keep a completion of the model of this identity."""
        usage = completion.usage
        kept = {
            "calls": 1,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "seconds": usage.seconds,
        }
        value = json.dumps({"text": completion.text, "usage": kept}, sort_keys=True)
        row = (key, model, value, hashlib.sha256(value.encode()).hexdigest(), time.time())
        with self._faults():
            self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def info(self) -> dict[str, Any]:
        """Where it is, its size in bytes, and how many answers it holds of each model."""
        with self._faults():
            rows = self._connection.execute("SELECT model, COUNT(*) FROM answers GROUP BY model ORDER BY model")
            models = dict(rows.fetchall())
        return {
            "file": str(self.path),
            "bytes": self.path.stat().st_size,
            "answers": sum(models.values()),
            "models": models,
        }

    def damaged(self) -> list[str]:
        """The keys whose values are not what was written; a fault of the file itself is raised."""
        with self._faults():
            (said,) = self._connection.execute("PRAGMA integrity_check").fetchone()
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            rows = self._connection.execute(f"SELECT key, {VALUE}, sha256 FROM answers ORDER BY key")
            return [key for key, value, known in rows if not _whole(value, known)]

    def prune(self, *, older_than: float) -> int:
        """Remove answers made more than so many days ago, and damaged ones; how many went."""
        damaged = self.damaged()
        with self._faults():
            old = self._connection.execute("DELETE FROM answers WHERE made < ?", (time.time() - older_than * 86400,))
            gone = old.rowcount
            for key in damaged:
                gone += self._connection.execute("DELETE FROM answers WHERE key = ?", (key,)).rowcount
            self._connection.execute("VACUUM")
        return gone

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RpobenchError(
                f"{self.path}: {error}; make room there, move the file away, or set RPOBENCH_CACHE to another folder"
            ) from error


def _whole(value: bytes, known: str) -> bool:
    """Whether a value is what was written."""
    return hashlib.sha256(value).hexdigest() == known


def answer_key(identity: str, chat: Chat, asked: dict[str, Any]) -> str:
    """sha256 of all that decides an answer: model identity, messages, and what was asked of them."""
    content = {"model": identity, "messages": [[message.role, message.content] for message in chat], **asked}
    return digest(content, SHA256)


@dataclass(frozen=True)
class CachedModel(ReportingModel):
    """A language model whose answers are looked up first and kept as they come in.

    Sampling without a seed is asked anew each time, as are failures. Likelihoods are not kept.
    """

    inner: LanguageModel
    cache: AnswerCache

    @property
    def identity(self) -> str:
        """The model's own."""
        return self.inner.identity

    def generate_each(self, chats: Sequence[Chat], decoding: Decoding, ready: Ready) -> Sequence[Completion]:
        """As `generate`; what is cached is reported first."""
        sampled = decoding.temperature > 0
        if sampled and decoding.seed is None:
            return generate_each(self.inner, chats, decoding, ready)
        before: Counter[Chat] = Counter()
        keys = []
        for chat in chats:
            keys.append(self._key(chat, decoding=asdict(decoding), sample=before[chat] if sampled else 0))
            before[chat] += 1

        def ask(places: Sequence[int], told: Ready) -> object:
            return generate_each(self.inner, [chats[place] for place in places], decoding, told)

        return self._answers(chats, keys, ask, ready)

    def choose_each(
        self, chats: Sequence[Chat], options: Sequence[str], neutral: Sequence[Chat] | None, ready: Ready
    ) -> Sequence[Completion]:
        """As `choose`; what is cached is reported first."""
        twins = [None] * len(chats) if neutral is None else [[asdict(message) for message in one] for one in neutral]
        keys = [self._key(chat, options=list(options), neutral=twin) for chat, twin in zip(chats, twins, strict=True)]

        def ask(places: Sequence[int], told: Ready) -> object:
            own = None if neutral is None else [neutral[place] for place in places]
            return choose_each(self.inner, [chats[place] for place in places], options, own, told)

        return self._answers(chats, keys, ask, ready)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model's own."""
        return self.inner.loglikelihood(chats, texts)

    def _key(self, chat: Chat, **asked: Any) -> str:
        return answer_key(self.inner.identity, chat, asked)

    def _answers(
        self,
        chats: Sequence[Chat],
        keys: Sequence[str],
        ask: Callable[[Sequence[int], Ready], object],
        ready: Ready,
    ) -> Sequence[Completion]:
        """The cached completions, and those that `ask` brings for the other places. Equal keys are asked once."""
        hits = {key: hit for key in dict.fromkeys(keys) if (hit := self.cache.get(key))}
        found = {place: hits[key] for place, key in enumerate(keys) if key in hits}
        for place, hit in found.items():
            ready(place, hit)
        # A model numbers the samples of a chat by their order in one call, so all of them are asked if one is missing.
        open_chats = {chat for chat, key in zip(chats, keys, strict=True) if key not in hits}
        places: dict[str, list[int]] = {}
        for place, (chat, key) in enumerate(zip(chats, keys, strict=True)):
            if chat in open_chats:
                places.setdefault(key, []).append(place)
        asked = list(places)

        def told(number: int, completion: Completion) -> None:
            key = asked[number]
            if key in hits:
                return
            if completion.failure is None:
                self.cache.put(key, self.inner.identity, completion)
            for place in places[key]:
                found[place] = completion
                ready(place, completion)
                completion = replace(completion, usage=replace(completion.usage, cached=1))

        if asked:
            ask([places[key][0] for key in asked], told)
        return [found[place] for place in range(len(chats))]
