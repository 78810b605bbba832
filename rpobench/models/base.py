"""What the benchmark asks of a language model, local or served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rpobench.types import Chat, Completion, Decoding


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
