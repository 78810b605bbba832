"""What a run will ask its base model, before it starts: the methods rehearse on a few examples with a stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rpobench.method.contract import Method
from rpobench.method.declaration import collect_predictions
from rpobench.models.prices import PricedModel
from rpobench.models.protocol import LanguageModel
from rpobench.models.served.asking import CHOICE_TOKENS
from rpobench.runs.runner import Runner
from rpobench.runs.stand_ins import StandInDrafts, StandInModel
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Usage

REHEARSAL_EXAMPLES = 4  # of a method and task


@dataclass(frozen=True)
class Estimate:
    """What the base model is asked.

    Attributes:
        calls: Calls of the base model.
        prompt_tokens: Tokens to read, about.
        new_tokens: Tokens to write, at most.
        dollars: What they cost, at most; None while no price is known.
    """

    calls: int
    prompt_tokens: int
    new_tokens: int
    dollars: float | None

    def describe(self) -> str:
        """Describe it in one line."""
        dollars = "dollars unknown without --price" if self.dollars is None else f"at most about ${self.dollars:.4f}"
        return (
            f"estimate: {self.calls} calls of the base model, about {self.prompt_tokens} tokens to read, "
            f"at most {self.new_tokens} to write, {dollars}"
        )


@dataclass(frozen=True)
class Work:
    """What one method still has to do on a task, with one seed and own or swapped profiles.

    Attributes:
        runner: The runner that will do it.
        method: The method, not fitted.
        task: The task.
        examples: The examples that it has still to predict.
        train: The examples that it has to be fitted to first; empty where it needs no fit, or its fit is finished.
    """

    runner: Runner
    method: Method
    task: Task
    examples: Sequence[Example]
    train: Sequence[Example] = ()


@dataclass
class Estimator:
    """Adds up the work of a plan. A draft is counted once, whoever asks for it.

    Attributes:
        model: The base model.
        total: A model that is never asked: its counters hold everything that was added so far.
    """

    model: LanguageModel
    total: StandInModel = field(default_factory=lambda: StandInModel("all"))
    _drafted: set[tuple[str, str]] = field(default_factory=set)

    def add(self, work: Work) -> None:
        """Count one piece of work.

        A method that trains a model of its own is taken to draft for each example, and to ask for nothing else.

        Args:
            work: The work.
        """
        if not work.examples:
            return

        if work.method.trains and not work.method.fits_by_asking:
            self._add_drafts(work, [*work.train, *work.examples])
            return

        with TemporaryDirectory() as folder:
            method = self._rehearse_fit(work, Path(folder)) if work.method.trains else work.method
            self._rehearse_predictions(method, work, Path(folder))

    def estimate(self) -> Estimate:
        """Return all that was added, at the model's price."""
        calls = round(self.total.calls)
        prompt_tokens = round(self.total.prompt_tokens)
        new_tokens = round(self.total.new_tokens)

        dollars = None
        if isinstance(self.model, PricedModel):
            usage = Usage(calls, prompt_tokens, new_tokens)
            dollars = self.model.price.dollars(usage) if calls else 0.0
        return Estimate(calls, prompt_tokens, new_tokens, dollars)

    def _rehearse_fit(self, work: Work, folder: Path) -> Method:
        """Fit the method to a few examples with made-up targets, and count that for all training examples.

        Where its fit is finished there are none: it is fitted for the rehearsal of predictions, and nothing is counted.
        """
        examples = _choose_few(work.train or work.examples)
        target = work.task.labels[0] if work.task.labels else "an answer"
        labelled = [Labelled(example, target) for example in examples]

        method = type(work.method)(work.method.config)
        model, drafts = StandInModel(self.model.identity), StandInDrafts()
        method.fit({work.task: labelled}, work.runner.make_fit_rehearsal(method, model, drafts, folder))

        self.total.add(model, len(work.train) / len(examples))
        if drafts.were_requested:
            self._add_drafts(work, work.train)
        return method

    def _rehearse_predictions(self, method: Method, work: Work, folder: Path) -> None:
        """Predict a few examples, and count that for all."""
        examples = _choose_few(work.examples)
        model, drafts = StandInModel(self.model.identity), StandInDrafts()
        context = work.runner.make_predict_context(method, model, drafts, folder)

        collect_predictions(method, method.predict(work.task, examples, context))

        self.total.add(model, len(work.examples) / len(examples))
        if drafts.were_requested:
            self._add_drafts(work, work.examples)

    def _add_drafts(self, work: Work, examples: Sequence[Example]) -> None:
        """Count the drafts that these examples need, as far as they are neither stored nor counted yet."""
        new_tokens = CHOICE_TOKENS if work.task.labels else work.task.max_new_tokens
        for key, example in work.runner.find_undrafted(work.task, examples).items():
            if (work.task.name, key) not in self._drafted:
                self._drafted.add((work.task.name, key))
                self.total.count(work.task.prompt(example), new_tokens)


def _choose_few(examples: Sequence[Example]) -> Sequence[Example]:
    """Choose a few examples, spread evenly."""
    return examples[:: max(1, len(examples) // REHEARSAL_EXAMPLES)][:REHEARSAL_EXAMPLES]
