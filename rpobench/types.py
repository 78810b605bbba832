"""The nouns of the benchmark: what tasks, methods, models and the runner hand to each other.

Nothing here computes; nothing here holds a target except `Labelled`, which only training and scoring see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


class RpobenchError(Exception):
    """A fault of input, option or environment: its text is one line that names the culprit and says what to do."""


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """One past item of a user. `fields` are the official ones of the task (title, abstract, score ...)."""

    id: str
    fields: Mapping[str, str]
    date: date | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One input and the user's profile in official file order. Never holds the target."""

    id: str
    user_id: str
    input: str
    profile: tuple[ProfileItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """An example with its target (the gold). Seen by `Method.fit` and by scoring, never by `Method.predict`."""

    example: Example
    target: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


# A chat whose last message is the assistant's is continued by the model instead of answered.
Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost. `cached` counts calls answered from a cache; `dollars` is None while no price is known."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cached: int = 0
    dollars: float | None = None

    def __add__(self, other: Usage) -> Usage:
        known = [d for d in (self.dollars, other.dollars) if d is not None]
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            self.cached + other.cached,
            sum(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is sampled. Temperature 0 is greedy; a seed makes sampling repeatable."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer. `failure` says why there is none (text is then empty); None means it answered."""

    text: str
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The profile items a model is shown, best first, after fitting to the token budget.

    `cut` counts reference-tokenizer tokens that were cut from the items to fit.
    """

    items: tuple[ProfileItem, ...] = ()
    cut: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.items)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A method's answer to one example.

    `text` is the answer in the task's form, `raw` the model's words before parsing, `draft` the base model's answer
    where the method used one, `evidence` the ids of the items shown, best first, `cut` the tokens cut from them.
    `trajectory` is what a reflection model wrote around the answer.
    `failure` says in a few words why the method has no answer of its own (then `text` is its fallback).
    `unanswered`: the failure is of the model, which gave no answer at all; the next run asks again.
    `kept`: whether a gate kept the draft in place of the method's own answer; None, and not stored, without a gate.
    """

    example_id: str
    text: str
    raw: str
    draft: str | None = None
    evidence: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    cut: int = 0
    failure: str | None = None
    trajectory: str | None = None
    unanswered: bool = False
    kept: bool | None = None
