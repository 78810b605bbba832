"""The contract of a language model, local or served, and the helpers for those that use one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from rpobench.types import Chat, Completion, Decoding, RpobenchError

# How every chat becomes tokens, in training as in prediction. A control token inside a message is plain text, or a
# profile could end a turn. A model that can leave reasoning out does, since all are asked for the answer alone.
CHAT_TOKENS: Mapping[str, Any] = {"sanitize_control_tokens": True, "enable_thinking": False}

# Called with the index of a chat and its completion.
OnCompletion = Callable[[int, Completion], None]


class PromptTooLong(RpobenchError):
    """A chat does not fit into the model's context. Callers that know the examples add which one it is.

    Args:
        message: The error in one line.
        chat: The chat that is too long.
    """

    def __init__(self, message: str, chat: Chat) -> None:
        super().__init__(message)
        self.chat = chat


class ModelChanged(RpobenchError):
    """A served model turned out to be asked otherwise than its identity says: results need the new one."""


@runtime_checkable
class LanguageModel(Protocol):
    """A black box that answers chats.

    A package offers its own under the entry-point group `rpobench.models`: a function that takes the text after the
    colon of a model spec and returns such an object. Any class with these four members is one; it need not inherit.
    """

    @property
    def identity(self) -> str:
        """Everything that changes the model's text, as one string.

        For a local model that is name, revision, adapter sha256, chat template, system prompt and dtype. It is a cache
        key and part of every result, so two models that may answer differently must not share it.
        """
        ...

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """The model continues each chat.

        Args:
            chats: The prompts, each at least one message. A chat that ends with an assistant message is continued
                inside that message instead of answered.
            decoding: How text is sampled. Greedy text, and sampled text with a seed, must come out the same every
                time.

        Returns:
            One completion a chat, in order. One without answer has a `failure` and empty text.

        Raises:
            RpobenchError: The model cannot answer at all.
            PromptTooLong: A chat does not fit into its context.
        """
        ...

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The model chooses among the same options after each chat.

        The choice is the option of highest length-normalised log-likelihood. A model without likelihoods generates,
        and its text comes as it is.

        Args:
            chats: The prompts.
            options: The texts to choose from, the same for all chats; of equal ones the first is taken.
            neutral: One content-free chat for each chat. Each option's log-likelihood there is subtracted first
                (contextual calibration, Zhao et al. 2021, arXiv 2102.09690).

        Returns:
            One completion a chat, in order, with the option as its text.

        Raises:
            RpobenchError: The model cannot answer at all.
            PromptTooLong: A chat does not fit into its context.
        """
        ...

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model scores a text after each chat.

        Args:
            chats: The prompts.
            texts: One text for each chat, taken as the rest of its turn.

        Returns:
            Mean log-probability a token (natural logarithm, at most 0) of each text, in order.

        Raises:
            RpobenchError: The model has no likelihoods.
        """
        ...


def batch_size(model: LanguageModel, least: int) -> int:
    """How many chats to hand over at a time.

    Args:
        model: The model; it may be wrapped by models that keep the wrapped one as `inner`.
        least: Enough for a model that answers one batch after another.

    Returns:
        `least`, or more where a served model's parallel requests would run dry. Many more where a cache keeps each
        answer as it comes in, so that a kill loses no more than what is under way.
    """
    concurrency = getattr(innermost(model), "concurrency", 0)

    return max(least, (16 if _is_cached(model) else 4) * concurrency)


def innermost(model: LanguageModel) -> LanguageModel:
    """Return the model that is asked in the end, within those that wrap it and keep the wrapped one as `inner`."""
    while hasattr(model, "inner"):
        model = model.inner
    return model


def _is_cached(model: LanguageModel) -> bool:
    """Whether one of the models around the innermost one keeps answers in a cache."""
    while hasattr(model, "inner"):
        if hasattr(model, "cache"):
            return True
        model = model.inner
    return False


def tell_of_earlier_answers(model: LanguageModel, has_earlier_answers: Callable[[], bool]) -> None:
    """Let a served model find out whether it answered something in an earlier run.

    If it did, a prompt that it refuses now is refused for what it says, and not because everything is refused.

    Args:
        model: Any model; a local one has no use for it.
        has_earlier_answers: Asked only where everything is refused.
    """
    served = innermost(model)
    if hasattr(served, "has_earlier_answers"):
        served.has_earlier_answers = has_earlier_answers


@contextmanager
def same_identity(model: LanguageModel) -> Iterator[None]:
    """Make sure that what is asked inside is asked of the model that the results name.

    Args:
        model: The model that is asked inside the `with` block.

    Raises:
        ModelChanged: Its identity is another one now.
    """
    before = model.identity
    yield
    if model.identity != before:
        raise ModelChanged(f"{before}: is {model.identity} from now on")


class ReportingModel(ABC):
    """A model that hands out each completion as soon as it is there: a kill costs no more than what was under way.

    `on_completion` may be called from another thread, but never from two at once. Where it raises RpobenchError,
    nothing more is asked, what is under way is still reported, and the error is raised in the end.
    """

    @abstractmethod
    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `LanguageModel.generate`, reporting each completion.

        Args:
            chats: The prompts.
            decoding: How text is sampled.
            on_completion: Called with the index of a chat and its completion, in any order.

        Returns:
            One completion a chat, in order.
        """

    @abstractmethod
    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """As `LanguageModel.choose`, reporting each completion.

        Args:
            chats: The prompts.
            options: The texts to choose from.
            neutral: One content-free chat for each chat, or None.
            on_completion: Called with the index of a chat and its completion, in any order.

        Returns:
            One completion a chat, in order.
        """

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """One completion a chat, in order."""
        return self.generate_each(chats, decoding, _ignore)

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The model's choice for each chat, in order."""
        return self.choose_each(chats, options, neutral, _ignore)


def generate_each(
    model: LanguageModel, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
) -> Sequence[Completion]:
    """Any model's completions, each reported: at once by a model that reports, else after the last one.

    Args:
        model: The model to ask.
        chats: The prompts.
        decoding: How text is sampled.
        on_completion: Called with the index of a chat and its completion.

    Returns:
        One completion a chat, in order.
    """
    if isinstance(model, ReportingModel):
        return model.generate_each(chats, decoding, on_completion)

    return _report_all(model.generate(chats, decoding), on_completion)


def choose_each(
    model: LanguageModel,
    chats: Sequence[Chat],
    options: Sequence[str],
    neutral: Sequence[Chat] | None,
    on_completion: OnCompletion,
) -> Sequence[Completion]:
    """Any model's choices, each reported: at once by a model that reports, else after the last one.

    Args:
        model: The model to ask.
        chats: The prompts.
        options: The texts to choose from.
        neutral: One content-free chat for each chat, or None.
        on_completion: Called with the index of a chat and its completion.

    Returns:
        One completion a chat, in order.
    """
    if isinstance(model, ReportingModel):
        return model.choose_each(chats, options, neutral, on_completion)

    return _report_all(model.choose(chats, options, neutral=neutral), on_completion)


def _report_all(completions: Sequence[Completion], on_completion: OnCompletion) -> Sequence[Completion]:
    for index, completion in enumerate(completions):
        on_completion(index, completion)
    return completions


def _ignore(index: int, completion: Completion) -> None:
    """For callers that wait for all completions."""
