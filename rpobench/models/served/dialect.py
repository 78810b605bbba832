"""What a server does not take of a request. It is learned from what it refuses, and changes the model's identity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rpobench.store.files import read_json, write_json
from rpobench.store.user_cache import cache_folder

FILE = "served_dialects.json"
LENGTH, NEW_LENGTH = "max_tokens", "max_completion_tokens"
PARAMETERS = ("temperature", "top_p", "seed")  # answers come without them too
PREFIX, SYSTEM = "assistant prefix", "system role"

UNSUPPORTED = re.compile(
    r"support|permitted|extra|unknown|unrecogni[sz]ed|unexpected|deprecated|not allowed|only|must|cannot|can't|invalid",
    re.I,
)
TOO_LARGE = re.compile(r"too large|at most|maximum|exceed|less than|<=", re.I)
WANTS_USER_LAST = re.compile(
    r"(end|last|final)\b.{0,60}\b(user|assistant)|assistant.{0,60}\b(last|final|end)|prefill|pre-fill", re.I | re.S
)
NO_SYSTEM_ROLE = re.compile(r"(system|developer).{0,10}(role|message|instruction|prompt)", re.I)


@dataclass(frozen=True)
class Dialect:
    """How requests to one model of one server are worded.

    Attributes:
        renames_length: Whether the longest answer is asked for as `max_completion_tokens`.
        left_out: What requests go without: parameters, `assistant prefix` (the beginning of an answer), `system role`
            (its text then stands in the user's message).
    """

    renames_length: bool = False
    left_out: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """What it adds to a model's identity: nothing where nothing is left out."""
        return "".join(f"+without:{name.replace(' ', '-')}" for name in sorted(self.left_out))

    def join(self, other: Dialect) -> Dialect:
        """Return the dialect that leaves out what either of two leaves out."""
        return Dialect(self.renames_length or other.renames_length, self.left_out | other.left_out)

    def translate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Word a request as the server takes it.

        Args:
            body: The content of a request, its length as `max_tokens`.

        Returns:
            The content without what is left out.
        """
        translated = {name: value for name, value in body.items() if name not in self.left_out}
        if self.renames_length and LENGTH in translated:
            translated[NEW_LENGTH] = translated.pop(LENGTH)

        messages = body["messages"]
        if PREFIX in self.left_out and len(messages) > 1 and messages[-1]["role"] == "assistant":
            messages = messages[:-1]
        if SYSTEM in self.left_out:
            messages = _fold_system(messages)
        return {**translated, "messages": messages}

    def adapt(self, body: Mapping[str, Any], status: int, words: str) -> Dialect | None:
        """Find what a refused request should go without.

        Args:
            body: The request in the words of this dialect.
            status: The status of the refusal.
            words: All that the server said.

        Returns:
            The dialect of the next try; None where the refusal names nothing that can be left out.
        """
        if status not in (400, 422) or not UNSUPPORTED.search(words):
            return None

        if LENGTH in body and _names(words, LENGTH) and (NEW_LENGTH in words or not TOO_LARGE.search(words)):
            return replace(self, renames_length=True)

        for name in PARAMETERS:
            if name in body and _names(words, name):
                return replace(self, left_out=self.left_out | {name})

        roles = [message["role"] for message in body["messages"]]
        if roles[-1] == "assistant" and len(roles) > 1 and WANTS_USER_LAST.search(words):
            return replace(self, left_out=self.left_out | {PREFIX})
        if "system" in roles and NO_SYSTEM_ROLE.search(words):
            return replace(self, left_out=self.left_out | {SYSTEM})
        return None


def _names(words: str, parameter: str) -> bool:
    return re.search(rf"(?<!\w){parameter}(?!\w)", words) is not None


def _fold_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with the system's text at the beginning of the first other one."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages

    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def load_dialect(address: str) -> Dialect | None:
    """Read what was learned of a model before.

    Args:
        address: Model and server.

    Returns:
        The dialect; None where nothing was learned.

    Raises:
        RpobenchError: The file is damaged.
    """
    facts = _read(cache_folder() / FILE).get(address)
    if facts is None:
        return None

    return Dialect(facts["renames_length"], frozenset(facts["left_out"]))


def save_dialect(address: str, dialect: Dialect) -> None:
    """Keep what was learned of a model, so that its identity is known before it is asked the next time.

    Args:
        address: Model and server.
        dialect: What it takes.

    Raises:
        RpobenchError: The cache folder cannot be written.
    """
    file = cache_folder() / FILE
    facts = {"renames_length": dialect.renames_length, "left_out": sorted(dialect.left_out)}

    write_json(file, {**_read(file), address: facts})


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.exists() else {}
