"""What a run will ask its base model, before it starts: the methods rehearse on a few examples with a stand-in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from rpobench.method.answering import content_free_prompt
from rpobench.method.contract import Method
from rpobench.method.declaration import collect_predictions
from rpobench.models.prices import PricedModel
from rpobench.models.protocol import LanguageModel
from rpobench.runs.hours import Hours, PlannedWork, WorkList
from rpobench.runs.runner import Runner
from rpobench.runs.stand_ins import StandInDrafts, StandInModel
from rpobench.task.contract import Task
from rpobench.types import Decoding, Example, Labelled, Usage

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
        fit: A name of that fit, which tasks may share; None where nothing is trained.
        is_control: Whether the profiles are swapped.
    """

    runner: Runner
    method: Method
    task: Task
    examples: Sequence[Example]
    train: Sequence[Example] = ()
    fit: str | None = None
    is_control: bool = False

    @property
    def name(self) -> str:
        """What it is called in an estimate."""
        return f"{self.task.name} {self.method.name}{', swapped profiles' if self.is_control else ''}"


@dataclass
class Estimator:
    """Adds up the work of a plan. A draft is counted once, whoever asks for it.

    Attributes:
        model: The base model.
        total: A model that is never asked: its counters hold everything that was added so far.
        work_list: The same by its parts, with what methods train and ask of models of their own.
    """

    model: LanguageModel
    total: StandInModel = field(default_factory=lambda: StandInModel("all"))
    work_list: WorkList = field(default_factory=WorkList)
    _drafted: set[tuple[str, str]] = field(default_factory=set)
    _fits: dict[tuple[str, str], list[Work]] = field(default_factory=dict)

    def add(self, work: Work) -> None:
        """Count one piece of work.

        A method that trains a model of its own is taken to draft for each example, and to ask for nothing else.

        Args:
            work: The work.
        """
        if not work.examples:
            return

        if work.method.trains and not work.method.fits_by_asking:
            self._add_drafts(work, chain(work.train, work.examples))
            self._add_own_models(work)
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

    def take_time(self) -> Hours:
        """Tell how long all that was added takes on this machine, which is measured for some seconds."""
        for (_, method_name), works in self._fits.items():
            first = works[0]
            examples_by_task = {work.task: work.train for work in works}
            with TemporaryDirectory() as folder:
                context = first.runner.make_fit_rehearsal(
                    first.method, StandInModel(self.model.identity), StandInDrafts(), Path(folder)
                )
                model_work = first.method.count_training_work(examples_by_task, context)
            if model_work is None:
                self.work_list.uncounted.append(f"the training of {method_name}")
            else:
                self.work_list.add(PlannedWork(f"{method_name}, training", model_work.model, model_work.tokens))

        self._fits.clear()
        return self.work_list.take_time(self.model)

    def _add_own_models(self, work: Work) -> None:
        """Count what a trained method does by itself: its fit once for all tasks that share it, and its answers."""
        if work.train and work.fit:
            self._fits.setdefault((work.fit, work.method.name), []).append(work)

        few = _choose_few(work.examples)
        with TemporaryDirectory() as folder:
            context = work.runner.make_predict_context(
                work.method, StandInModel(self.model.identity), StandInDrafts(), Path(folder)
            )
            model_work = work.method.count_prediction_work(work.task, few, context)
        if model_work:
            tokens = model_work.tokens * (len(work.examples) / len(few))
            self.work_list.add(PlannedWork(work.name, model_work.model, tokens))

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

        self._count(f"{work.method.name}, training", model, len(work.train) / len(examples))
        if drafts.were_requested:
            self._add_drafts(work, work.train)
        return method

    def _rehearse_predictions(self, method: Method, work: Work, folder: Path) -> None:
        """Predict a few examples, and count that for all."""
        examples = _choose_few(work.examples)
        model, drafts = StandInModel(self.model.identity), StandInDrafts()
        context = work.runner.make_predict_context(method, model, drafts, folder)

        collect_predictions(method, method.predict(work.task, examples, context))

        self._count(work.name, model, len(work.examples) / len(examples))
        if drafts.were_requested:
            self._add_drafts(work, work.examples)

    def _add_drafts(self, work: Work, examples: Iterable[Example]) -> None:
        """Count the drafts that these examples need, as far as they are neither stored nor counted yet."""
        task = work.task
        for key, example in work.runner.find_undrafted(work.task, examples).items():
            if (work.task.name, key) not in self._drafted:
                self._drafted.add((work.task.name, key))
                model = StandInModel(self.model.identity)
                if task.labels:
                    model.choose([task.prompt(example)], task.labels, neutral=[content_free_prompt(task, example)])
                else:
                    model.generate([task.prompt(example)], Decoding(task.max_new_tokens))
                self._count(f"{task.name} drafts", model, 1)

    def _count(self, name: str, model: StandInModel, factor: float) -> None:
        self.total.add(model, factor)
        self.work_list.add(PlannedWork(name, None, model.local_work * factor))


def _choose_few(examples: Sequence[Example]) -> Sequence[Example]:
    """Choose a few examples, spread evenly."""
    return examples[:: max(1, len(examples) // REHEARSAL_EXAMPLES)][:REHEARSAL_EXAMPLES]
