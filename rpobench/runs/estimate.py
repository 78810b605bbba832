"""What a run will ask its base model, before it starts: the methods rehearse on a few examples with a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rpobench.models.prices import Budget, Price, PricedModel, read_price
from rpobench.models.protocol import LanguageModel
from rpobench.models.served.openai import CHOICE_TOKENS
from rpobench.registry import model_identities
from rpobench.types import Chat, Completion, Decoding, Example, Labelled, Prediction, RpobenchError, Usage

if TYPE_CHECKING:
    from rpobench.method.contract import Method
    from rpobench.runs.plan import Plan
    from rpobench.runs.runner import Runner
    from rpobench.task.contract import Task

REHEARSED = 4  # examples of a method and task
CHARACTERS = 4  # a token, about, of English text in today's vocabularies


def priced(model: LanguageModel, plan: Plan) -> LanguageModel:
    """The model with the plan's price and budget, where there is one.

    Raises:
        RpobenchError: the price is none, or --max-cost has no price to count with.
    """
    price = read_price(plan.price, plan.base_model.partition("?")[0]) if plan.price else None
    if price is None and plan.max_cost is not None:
        raise RpobenchError(f"--max-cost {plan.max_cost:g}: the price of {plan.base_model} is unknown; give --price")
    return model if price is None else PricedModel(model, price, Budget(plan.max_cost))


def check_counted(plan: Plan, methods: Sequence[Method]) -> None:
    """Tells on stderr which served models the methods ask beside the base model: neither estimated nor priced.

    Raises:
        RpobenchError: --max-cost, which could not be kept then.
    """
    for method in methods:
        for role, identity in model_identities(method).items():
            if identity.startswith("openai:"):
                told = f"{method.name} also asks its {role} {identity}, whose calls are not in the estimate"
                if plan.max_cost is not None:
                    raise RpobenchError(f"--max-cost {plan.max_cost:g}: {told} nor in the budget; leave --max-cost out")
                print(told, file=sys.stderr)


@dataclass(frozen=True)
class Estimate:
    """Calls of the base model, tokens to read (about) and to write (at most), and dollars where the price is known."""

    calls: int
    prompt_tokens: int
    new_tokens: int
    dollars: float | None

    def line(self) -> str:
        """For a reader."""
        dollars = "dollars unknown without --price" if self.dollars is None else f"at most about ${self.dollars:.4f}"
        return (
            f"estimate: {self.calls} calls of the base model, about {self.prompt_tokens} tokens to read, "
            f"at most {self.new_tokens} to write, {dollars}"
        )


@dataclass
class Rehearsal:
    """Stands in for a base model: counts what it is asked and answers with words of the question, at no cost."""

    identity: str
    calls: float = 0.0
    prompt_tokens: float = 0.0
    new_tokens: float = 0.0

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """The last words of each chat."""
        for chat in chats:
            self.count(chat, decoding.max_new_tokens)
        return [Completion(" ".join(chat[-1].content.split()[-12:]), Usage(1)) for chat in chats]

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The first option."""
        for chat in chats:
            self.count(chat, CHOICE_TOKENS)
        return [Completion(options[0], Usage(1)) for _ in chats]

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """All alike."""
        for chat in chats:
            self.count(chat, 0)
        return [0.0] * len(chats)

    def count(self, chat: Chat, new_tokens: int) -> None:
        """One call."""
        self.calls += 1
        self.prompt_tokens += sum(len(message.content) for message in chat) / CHARACTERS
        self.new_tokens += new_tokens

    def add(self, other: Rehearsal, times: float) -> None:
        """So many times what another one counted."""
        self.calls += other.calls * times
        self.prompt_tokens += other.prompt_tokens * times
        self.new_tokens += other.new_tokens * times


@dataclass
class StandInDrafts:
    """Hands out words of the input as drafts and notes that somebody asked."""

    asked: bool = False

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """A stand-in for each example's draft."""
        self.asked = True
        words = {example.id: " ".join(example.input.split()[-12:]) for example in examples}
        texts = {id_: task.labels[0] if task.labels else text for id_, text in words.items()}
        return {id_: Prediction(id_, text, text, text) for id_, text in texts.items()}

    def written(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """What the stand-in for the model writes."""
        return model.generate(chats, decoding)


@dataclass(frozen=True)
class Work:
    """What one method still has to predict of a task, and the examples that it first has to be fitted to."""

    runner: Runner
    method: Method
    task: Task
    examples: Sequence[Example]
    train: Sequence[Example] = ()


@dataclass
class Estimator:
    """Adds up the work of a plan. A draft is counted once, whoever asks for it."""

    model: LanguageModel
    total: Rehearsal = field(default_factory=lambda: Rehearsal("all"))
    _drafted: set[tuple[str, str]] = field(default_factory=set)

    def add(self, work: Work) -> None:
        """Count one piece of work. A method that trains a model of its own is taken to draft for each example alone."""
        if not work.examples:
            return
        if work.method.trains and not work.method.fits_by_asking:
            self._add_drafts(work, [*work.train, *work.examples])
            return
        with TemporaryDirectory() as folder:
            method = self._fitted(work, Path(folder)) if work.method.trains else work.method
            stand_in, drafts, few = Rehearsal(self.model.identity), StandInDrafts(), _few(work.examples)
            for _ in method.predict(work.task, few, work.runner.predict_rehearsal(stand_in, drafts, Path(folder))):
                pass
        self.total.add(stand_in, len(work.examples) / len(few))
        if drafts.asked:
            self._add_drafts(work, work.examples)

    def _fitted(self, work: Work, folder: Path) -> Method:
        """The method fitted to a few examples with made-up targets; counted for all, unless its fit is finished."""
        method, few = type(work.method)(work.method.config), _few(work.train or work.examples)
        target = work.task.labels[0] if work.task.labels else "an answer"
        stand_in, drafts = Rehearsal(self.model.identity), StandInDrafts()
        context = work.runner.fit_rehearsal(stand_in, drafts, folder)
        method.fit({work.task: [Labelled(example, target) for example in few]}, context)
        self.total.add(stand_in, len(work.train) / len(few))
        if drafts.asked:
            self._add_drafts(work, work.train)
        return method

    def _add_drafts(self, work: Work, examples: Sequence[Example]) -> None:
        room = CHOICE_TOKENS if work.task.labels else work.task.max_new_tokens
        for key, example in work.runner.undrafted(work.task, examples).items():
            if (work.task.name, key) not in self._drafted:
                self._drafted.add((work.task.name, key))
                self.total.count(work.task.prompt(example), room)

    def estimate(self) -> Estimate:
        """All that was added, at the model's price."""
        calls, read, written = (round(n) for n in (self.total.calls, self.total.prompt_tokens, self.total.new_tokens))
        price: Price | None = self.model.price if isinstance(self.model, PricedModel) else None
        dollars = price.dollars(Usage(calls, read, written)) if price and calls else (0.0 if price else None)
        return Estimate(calls, read, written, dollars)


def _few(examples: Sequence[Example]) -> Sequence[Example]:
    return examples[:: max(1, len(examples) // REHEARSED)][:REHEARSED]


def add_up(model: LanguageModel, work: Iterable[Work]) -> Estimate:
    """What the work will ask of the model. Answers that are cached are counted too."""
    estimator = Estimator(model)
    for one in work:
        estimator.add(one)
    return estimator.estimate()
