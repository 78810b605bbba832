"""What the benchmark asks of a language model, local or served."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from rpobench.types import Chat, Completion, Decoding, RpobenchError

# How every chat becomes tokens, in training as in prediction: a control token inside a message is plain text, or a
# profile could end a turn; a model that can leave reasoning out does, since all are asked for the answer alone.
CHAT_TOKENS: Mapping[str, Any] = {"sanitize_control_tokens": True, "enable_thinking": False}
Ready = Callable[[int, Completion], None]  # called with the place of a chat and its completion


class PromptTooLong(RpobenchError):
    """A chat does not fit into the model's context. Who knows the examples adds which one it is."""

    def __init__(self, message: str, chat: Chat) -> None:
        super().__init__(message)
        self.chat = chat


@runtime_checkable
class LanguageModel(Protocol):
    """A black box that answers chats."""

    @property
    def identity(self) -> str:
        """Everything that changes its text: name, revision, adapter sha256, chat template, system prompt, dtype.

        A cache key and part of every result.
        """
        ...

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """One completion a chat, in order. A chat that ends with an assistant message is continued."""
        ...

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The option of highest length-normalised log-likelihood after each chat, as the completion's text.

        With `neutral` (one content-free chat for each chat) each option's log-likelihood there is subtracted first
        (contextual calibration, arXiv 2102.09690). Models without likelihoods generate; their text comes as it is.
        """
        ...

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Mean log-probability a token of each text as the continuation of its chat."""
        ...


def batch_of(model: LanguageModel, least: int) -> int:
    """How many chats to hand over at a time: `least`, or enough that a served model's requests seldom run dry."""
    while hasattr(model, "inner"):
        model = model.inner
    return max(least, 4 * getattr(model, "concurrency", 0))


class ReportingModel(ABC):
    """A model that hands out each completion as soon as it is there, so that a kill costs what was under way, no more.

    `ready` may be called from another thread, though never from two at once. Where it raises RpobenchError, nothing
    more is asked, what is under way is still reported, and the error is raised in the end.
    """

    @abstractmethod
    def generate_each(self, chats: Sequence[Chat], decoding: Decoding, ready: Ready) -> Sequence[Completion]:
        """As `generate`."""

    @abstractmethod
    def choose_each(
        self, chats: Sequence[Chat], options: Sequence[str], neutral: Sequence[Chat] | None, ready: Ready
    ) -> Sequence[Completion]:
        """As `choose`."""

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """One completion a chat, in order."""
        return self.generate_each(chats, decoding, _unheard)

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The model's choice for each chat, in order."""
        return self.choose_each(chats, options, neutral, _unheard)


def _unheard(place: int, completion: Completion) -> None:
    """For who waits for all completions."""


def generate_each(
    model: LanguageModel, chats: Sequence[Chat], decoding: Decoding, ready: Ready
) -> Sequence[Completion]:
    """As `model.generate`; `ready` hears of each completion: at once from a model that reports, else afterwards."""
    if isinstance(model, ReportingModel):
        return model.generate_each(chats, decoding, ready)
    return _reported(model.generate(chats, decoding), ready)


def choose_each(
    model: LanguageModel,
    chats: Sequence[Chat],
    options: Sequence[str],
    neutral: Sequence[Chat] | None,
    ready: Ready,
) -> Sequence[Completion]:
    """As `model.choose`, and `ready` hears of each completion."""
    if isinstance(model, ReportingModel):
        return model.choose_each(chats, options, neutral, ready)
    return _reported(model.choose(chats, options, neutral=neutral), ready)


def _reported(completions: Sequence[Completion], ready: Ready) -> Sequence[Completion]:
    for place, completion in enumerate(completions):
        ready(place, completion)
    return completions
