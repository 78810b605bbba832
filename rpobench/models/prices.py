"""What answers cost: a price a token, a budget, and a model that counts with both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpobench.models.answer_cache import CachedModel
from rpobench.models.protocol import LanguageModel, OnCompletion, ReportingModel, choose_each, generate_each
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

PRICE_HELP = 'give IN,OUT in dollars a million tokens, or a JSON file such as {"openai:NAME": [0.15, 0.6]}'


@dataclass(frozen=True)
class Price:
    """Dollars a million tokens: `prompt` for those that are read, `completion` for those that are written."""

    prompt: float
    completion: float

    def dollars(self, usage: Usage) -> float | None:
        """What the tokens of a usage cost; None where the server counted none."""
        if not usage.prompt_tokens:
            return None
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


def read_price(text: str, model: str) -> Price | None:
    """The price that `--price` names.

    Args:
        text: `IN,OUT` in dollars a million tokens, or the name of a JSON file with such pairs by model spec.
        model: The model spec that is looked up in the file.

    Returns:
        The price; None where the file lacks the model.

    Raises:
        RpobenchError: The text is neither, or a price is negative or endless.
    """
    try:
        pair = _read_price_file(Path(text), model) if text.endswith(".json") else text.split(",")
        if pair is None:
            return None
        prompt, completion = pair
        price = Price(float(prompt), float(completion))
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise RpobenchError(f"--price {text}: {PRICE_HELP} ({error})") from error

    for dollars in (price.prompt, price.completion):
        if not 0 <= dollars < float("inf"):
            raise RpobenchError(f"--price {text}: {PRICE_HELP}")
    return price


def _read_price_file(file: Path, model: str) -> list[float] | None:
    table = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(table, dict):
        raise ValueError("no table of models")
    if model not in table:
        return None

    pair = table[model]
    if not (isinstance(pair, list) and all(type(dollars) in (int, float) for dollars in pair)):
        raise ValueError(f"{model} has no two numbers")
    return pair


@dataclass
class Budget:
    """Dollars this run may spend on requests that are really made.

    Attributes:
        limit: The most that may be spent; None is without end.
        spent: What is spent by now.
    """

    limit: float | None = None
    spent: float = 0.0

    def spend(self, dollars: float | None) -> None:
        """Count an answer.

        Args:
            dollars: Its price, None where it is unknown.

        Raises:
            RpobenchError: There is a limit and the price is unknown, so that the limit could not be held.
        """
        if dollars is None and self.limit is not None:
            raise RpobenchError(
                f"--max-cost {self.limit:g}: the server counts no tokens, so nobody knows what is spent; "
                "leave --max-cost out, or take a server that counts"
            )

        self.spent += dollars or 0.0

    def require_rest(self) -> None:
        """Refuse to go on where everything is spent.

        Raises:
            RpobenchError: The limit is reached.
        """
        if self.limit is not None and self.spent >= self.limit:
            raise RpobenchError(
                f"--max-cost {self.limit:g}: ${self.spent:.4f} spent; answers are kept, the same command continues"
            )


@dataclass(frozen=True)
class PricedModel(ReportingModel):
    """A model whose usage carries dollars: the price of the tokens, cached or not, so that equal work costs the same.

    The budget counts only what was really asked. Where it is spent no further request is made; what is under way ends
    and is kept. Without a cache to keep single answers the whole call ends first.

    Attributes:
        inner: The model that is asked.
        price: Of its tokens.
        budget: What may be spent.
    """

    inner: LanguageModel
    price: Price
    budget: Budget = field(default_factory=Budget)

    @property
    def identity(self) -> str:
        """The model's own: what an answer costs does not change it."""
        return self.inner.identity

    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `generate`."""
        return self._count(lambda on_answer: generate_each(self.inner, chats, decoding, on_answer), on_completion)

    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """As `choose`."""
        return self._count(lambda on_answer: choose_each(self.inner, chats, options, neutral, on_answer), on_completion)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model's own; no server sells them, so they cost nothing."""
        return self.inner.loglikelihood(chats, texts)

    def _count(
        self, ask: Callable[[OnCompletion], Sequence[Completion]], on_completion: OnCompletion
    ) -> list[Completion]:
        """Ask within the budget; the completions with their dollars."""

        def spend(index: int, completion: Completion) -> None:
            on_completion(index, self._add_dollars(completion))

            dollars = self.price.dollars(completion.usage)
            is_paid = dollars is not None or completion.failure is None
            if is_paid and not completion.usage.cached:
                self.budget.spend(dollars)
            if isinstance(self.inner, CachedModel):
                self.budget.require_rest()

        self.budget.require_rest()
        return [self._add_dollars(completion) for completion in ask(spend)]

    def _add_dollars(self, completion: Completion) -> Completion:
        return replace(completion, usage=at_todays_price(self, completion.usage))


def at_todays_price(model: LanguageModel, usage: Usage) -> Usage:
    """A stored usage of a model, in dollars of its present price; without a price they are unknown."""
    return replace(usage, dollars=model.price.dollars(usage) if isinstance(model, PricedModel) else None)


def without_cache(model: LanguageModel) -> LanguageModel:
    """The model for licensed texts: it neither reads nor fills the shared cache."""
    if isinstance(model, PricedModel):
        return replace(model, inner=without_cache(model.inner))
    return model.inner if isinstance(model, CachedModel) else model
