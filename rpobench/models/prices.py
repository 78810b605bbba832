"""What answers cost: a price a token, a budget, and a model that keeps both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpobench.models.answer_cache import CachedModel
from rpobench.models.protocol import LanguageModel, Ready, ReportingModel, choose_each, generate_each
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage


@dataclass(frozen=True)
class Price:
    """Dollars a million tokens, read and written."""

    read: float
    written: float

    def dollars(self, usage: Usage) -> float | None:
        """What the tokens cost; None where the server counted none."""
        if not usage.prompt_tokens:
            return None
        return (usage.prompt_tokens * self.read + usage.completion_tokens * self.written) / 1e6


def read_price(text: str, model: str) -> Price | None:
    """`IN,OUT` in dollars a million tokens, or a JSON file of them by model spec; None where the file lacks the model.

    Raises:
        RpobenchError: it is neither, or a price is negative.
    """
    how = 'give IN,OUT in dollars a million tokens, or a JSON file such as {"openai:NAME": [0.15, 0.6]}'
    try:
        if text.endswith(".json"):
            table = json.loads(Path(text).read_text(encoding="utf-8"))
            if not isinstance(table, dict):
                raise ValueError("no table of models")
            if model not in table:
                return None
            pair = table[model]
            if not (isinstance(pair, list) and all(type(one) in (int, float) for one in pair)):
                raise ValueError(f"{model} has no two numbers")
        else:
            pair = text.split(",")
        read, written = pair
        price = Price(float(read), float(written))
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise RpobenchError(f"--price {text}: {how} ({error})") from error
    if not (0 <= price.read < float("inf") and 0 <= price.written < float("inf")):
        raise RpobenchError(f"--price {text}: {how}")
    return price


@dataclass
class Budget:
    """Dollars this run may spend on requests that are really made; None means without end."""

    limit: float | None = None
    spent: float = 0.0

    def spend(self, dollars: float | None) -> None:
        """Count an answer. Raises RpobenchError where its price is unknown, so that the budget could not be kept."""
        if dollars is None and self.limit is not None:
            raise RpobenchError(
                f"--max-cost {self.limit:g}: the server counts no tokens, so nobody knows what is spent; "
                "leave --max-cost out, or take a server that counts"
            )
        self.spent += dollars or 0.0

    def check(self) -> None:
        """Raises RpobenchError where everything is spent."""
        if self.limit is not None and self.spent >= self.limit:
            raise RpobenchError(
                f"--max-cost {self.limit:g}: ${self.spent:.4f} spent; answers are kept, the same command continues"
            )


@dataclass(frozen=True)
class PricedModel(ReportingModel):
    """A model whose usage carries dollars: the price of the tokens, cached or not, so that equal work costs the same.

    The budget counts only what was really asked. Where it is spent no further request is made; what is under way ends
    and is kept. Without a cache to keep single answers the whole call ends first.
    """

    inner: LanguageModel
    price: Price
    budget: Budget = field(default_factory=Budget)

    @property
    def identity(self) -> str:
        """The model's own: what an answer costs does not change it."""
        return self.inner.identity

    def generate_each(self, chats: Sequence[Chat], decoding: Decoding, ready: Ready) -> Sequence[Completion]:
        """As `generate`."""
        return self._counted(lambda told: generate_each(self.inner, chats, decoding, told), ready)

    def choose_each(
        self, chats: Sequence[Chat], options: Sequence[str], neutral: Sequence[Chat] | None, ready: Ready
    ) -> Sequence[Completion]:
        """As `choose`."""
        return self._counted(lambda told: choose_each(self.inner, chats, options, neutral, told), ready)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model's own; no server sells them, so they cost nothing."""
        return self.inner.loglikelihood(chats, texts)

    def _counted(self, ask: Callable[[Ready], Sequence[Completion]], ready: Ready) -> Sequence[Completion]:
        def told(place: int, completion: Completion) -> None:
            ready(place, self._priced(completion))
            dollars = self.price.dollars(completion.usage)
            if not completion.usage.cached and (dollars is not None or completion.failure is None):
                self.budget.spend(dollars)
            if isinstance(self.inner, CachedModel):
                self.budget.check()

        self.budget.check()
        return [self._priced(completion) for completion in ask(told)]

    def _priced(self, completion: Completion) -> Completion:
        usage = completion.usage
        return replace(completion, usage=replace(usage, dollars=self.price.dollars(usage)))


def at_todays_price(model: LanguageModel, usage: Usage) -> Usage:
    """A usage of the model that was stored, in dollars of its present price; without one they are unknown."""
    return replace(usage, dollars=model.price.dollars(usage) if isinstance(model, PricedModel) else None)


def without_cache(model: LanguageModel) -> LanguageModel:
    """The model for licensed texts: it neither reads nor fills the shared cache."""
    if isinstance(model, PricedModel):
        return replace(model, inner=without_cache(model.inner))
    return model.inner if isinstance(model, CachedModel) else model
