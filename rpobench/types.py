"""The nouns of the benchmark: what tasks, methods, models and the runner hand to each other.

This module computes nothing. Only `Labelled` holds a target, and only training and scoring see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

UNSCORED = "unscored: the split has no targets"  # what commands say of a run that nothing can be scored of


class RpobenchError(Exception):
    """A fault of input, option or environment. Its text is one line that names the culprit and says what to do."""


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """One past item of a user.

    Attributes:
        id: Its official id.
        fields: The official fields of the task (title, abstract, score ...).
        date: When the user wrote it, where the data say so.
    """

    id: str
    fields: Mapping[str, str]
    date: date | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Example:
    """One input with the user's profile. It never holds the target.

    Attributes:
        id: Its official id.
        user_id: Whose example it is.
        input: The official input, with the task's instruction.
        profile: The user's past items in the order of the official file.
    """

    id: str
    user_id: str
    input: str
    profile: tuple[ProfileItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """An example with its target (the gold). `Method.fit` and scoring see it, `Method.predict` never does."""

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
    """What an answer cost.

    Attributes:
        calls: How often a model was asked.
        prompt_tokens: Tokens that the model read.
        completion_tokens: Tokens that the model wrote.
        seconds: Time spent, in seconds.
        cached: How many of the calls were answered from a cache.
        dollars: The price; None while no price is known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cached: int = 0
    dollars: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """Return the sum of two usages; its price is that of the parts whose price is known."""
        prices = [price for price in (self.dollars, other.dollars) if price is not None]

        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            self.cached + other.cached,
            sum(prices) if prices else None,
        )


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is sampled.

    Attributes:
        max_new_tokens: The longest text, in tokens.
        temperature: 0 is greedy.
        top_p: Probability mass of the tokens to choose from, in (0, 1].
        seed: Makes sampling repeatable.
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer.

    Attributes:
        text: What the model wrote, without its thinking; empty where it gave no answer.
        usage: What the answer cost.
        failure: Why there is no answer; None where there is one.
        permanent: Whether the failure would come again if the model were asked again, such as a refusal.
        truncated: Whether the model was stopped by the limit of tokens.
        raw: All that the model wrote, thinking included; None where that is `text`.
    """

    text: str
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None
    permanent: bool = False
    truncated: bool = False
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The profile items that a model reads, after fitting to the token budget.

    Attributes:
        items: The items, best first.
        cut: How many tokens of the reference tokenizer were cut from the items to fit.
    """

    items: tuple[ProfileItem, ...] = ()
    cut: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the items, best first."""
        return tuple(item.id for item in self.items)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A method's answer to one example.

    Attributes:
        example_id: The example that it answers.
        text: The answer in the task's form; a fallback where `failure` is set.
        raw: The model's words before parsing.
        draft: The base model's answer, where the method started from one.
        evidence: The ids of the profile items that the model read, best first.
        usage: What the answer cost.
        cut: How many tokens of the reference tokenizer were cut from the items to fit.
        failure: In a few words, why the method has no answer of its own.
        trajectory: What a reflection model wrote around the answer.
        unanswered: Whether the failure is the model's, which gave no answer at all.
        draft_kept: Whether a gate kept the draft in place of the method's own answer; None for a method without a
            gate. Stored as `kept`, and not stored where it is None.
        permanent: Whether an unanswered example would stay so. Of the unanswered ones, the next run asks the others
            again. Not stored where it is False, nor is `truncated`.
        truncated: Whether the model was stopped by the limit of tokens.
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
    draft_kept: bool | None = None
    permanent: bool = False
    truncated: bool = False
