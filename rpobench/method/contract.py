"""The contract of a method: learn from labelled training examples (or nothing), then predict unlabelled ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from rpobench.method.answering import reread_prediction
from rpobench.method.config import EvidenceConfig, MethodConfig, changed_knobs
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.presets import choose_preset_evidence, choose_preset_knobs
from rpobench.method.token_work import ModelWork
from rpobench.store.identity import digest
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Prediction, Usage


class Method(ABC):
    """One way to answer examples for their users.

    A subclass sets `name`, and `Config` where it has knobs (`--set key=value`). A method that learns sets `trains` and
    overrides `fit`, `save` and `load`. One that names retrievers and has no knobs of its own has those of
    `EvidenceConfig`, which presets set alike for every method.

    Attributes:
        name: What it is called on the command line and in reports.
        version: Raised when the same knobs would give other predictions.
        trains: True where `fit` learns something.
        only_counts: True where `fit` counts and trains no parameters: such a method stands with the untrained ones.
        by_name_only: True where it is too costly for `--method all`: it runs only when it is named.
        fits_by_asking: True where the base model answers in `fit` too: an estimate then rehearses both.
        reads_profile: False where swapped profiles change nothing, so that no such run is made.
        draws_lots: True where `predict` of an untrained method reads `context.seed`: it then runs once for each seed.
            Any other untrained method runs once, and is lent no seed. What a retriever draws is known without it.
        presets: The config values that a preset changes beside the evidence limits, by the preset's name.
        applied: Knobs that `predict` alone reads, so that a trained method (`--adapter`) takes other values of them.
        fit_usage: What `fit` cost in calls and tokens, set by a method that counts them.
        fit_tokens: How many tokens `fit` trained on, by the name of the stage. A token counts each time it is read.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    trains: ClassVar[bool] = False
    only_counts: ClassVar[bool] = False
    by_name_only: ClassVar[bool] = False
    fits_by_asking: ClassVar[bool] = False
    reads_profile: ClassVar[bool] = True
    draws_lots: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    applied: ClassVar[frozenset[str]] = frozenset()
    fit_usage: Usage | None = None
    fit_tokens: Mapping[str, int] | None = None

    class Config(MethodConfig):
        """The knobs of a method; part of every spec."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Give a method that names retrievers and has no knobs of its own the evidence limits as knobs."""
        super().__init_subclass__(**options)
        if cls.retrievers is not Method.retrievers and cls.Config is Method.Config:
            cls.Config = EvidenceConfig  # type: ignore[assignment, misc]  # a sibling of Method's own

    def __init__(self, config: BaseModel) -> None:
        self.config: Any = config

    @property
    def evidence_limits(self) -> EvidenceConfig | None:
        """The evidence limits among its knobs, which `context.choose_evidence` takes by default; None without such."""
        return self.config if isinstance(self.config, EvidenceConfig) else None

    def changed_knobs(self) -> dict[str, Any]:
        """Return the knobs whose values differ from the defaults of this version, as a spec holds them."""
        return changed_knobs(self.config)

    def applies_to(self, task: Task) -> bool:
        """Say whether the method means something on this task; where not, the cell is n/a and never a zero."""
        return True

    def models(self) -> Mapping[str, str]:
        """Name the models that the method itself uses besides the base model; part of its specs.

        It is asked before any model works. The encoders of its retrievers are added by `registry.identify_models`.

        Returns:
            The identity of each model by its role.

        Raises:
            RpobenchError: A model cannot be used.
        """
        return {}

    def prompts(self, tasks: Sequence[Task]) -> str | Sequence[object]:
        """Return the method's own words for these tasks; their hash is part of its specs.

        Args:
            tasks: The tasks that a spec is made for.

        Returns:
            Everything that words what a model is asked: texts, chats and numbers, in lists and tuples. Empty for a
            method without prompts of its own.
        """
        return ()

    def retrievers(self) -> Sequence[str]:
        """Name the retrievers that it takes evidence from; they are looked up before any model works."""
        retriever = getattr(self.config, "retriever", None)

        return (retriever,) if retriever else ()

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        """Say which tasks are fitted together: one fit a task unless a method shares what it learns.

        Args:
            tasks: Names of the tasks of a run.

        Returns:
            Groups that hold each name once.
        """
        return [(name,) for name in tasks]

    def fit(self, train: Mapping[Task, Sequence[Labelled]], context: FitContext) -> None:
        """Learn from training users. Called again after a kill, it must go on where it was.

        Args:
            train: Labelled examples by task, of one of the groups of `fit_groups`.
            context: Lends the base model and the folder for files.
        """

    @abstractmethod
    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        """Answer examples. A method never sees their targets.

        Args:
            task: The task of the examples.
            examples: What is predicted.
            context: Lends the base model, evidence and drafts.

        Yields:
            One prediction for each example, in order.
        """

    def count_prediction_work(
        self, task: Task, examples: Sequence[Example], context: PredictContext
    ) -> ModelWork | None:
        """Count what a local model of the method's own does to answer examples, for an estimate of hours.

        Args:
            task: The task.
            examples: A few examples.
            context: Lends evidence; its base model and drafts are stand-ins.

        Returns:
            The work for these examples; None for a method without such a model.
        """
        return None

    def count_training_work(
        self, examples_by_task: Mapping[Task, Sequence[Example]], context: FitContext
    ) -> ModelWork | None:
        """Count what a local model of the method's own does in `fit`, for an estimate of hours.

        Args:
            examples_by_task: All training examples of each task.
            context: Lends evidence; its base model and drafts are stand-ins.

        Returns:
            The work of the fit, at most; None for a method that cannot say.
        """
        return None

    def read_again(self, task: Task, prediction: Prediction) -> Prediction | None:
        """Read a stored prediction of this method once more, as answers of the task are read today.

        A method that reads its answers in a way of its own overrides it. The default is right for one that ends with
        `context.predict` or `context.read_prediction`.

        Args:
            task: The task.
            prediction: What the method predicted, read by an earlier version of the task.

        Returns:
            The prediction as it would be read today. None where that cannot be known from what was stored.
        """
        return reread_prediction(task, prediction)

    def save(self, path: Path) -> None:
        """Write what `fit` learned under the folder `path`; nothing by default."""

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Method:
        """Return a method as `save` left it under the folder `path`."""
        return cls(config)


def choose_preset_values(method_class: type[Method], preset: str) -> dict[str, Any]:
    """Choose what a preset sets of a method's knobs: the evidence limits of all methods, and its own values.

    Args:
        method_class: The method.
        preset: The preset's name.

    Returns:
        Values by knob; none for a preset that changes nothing.
    """
    evidence = choose_preset_evidence(method_class.Config, preset)
    return {**evidence, **choose_preset_knobs(method_class.name, preset), **method_class.presets.get(preset, {})}


def prompts_digest(method: Method, tasks: Sequence[Task]) -> str | None:
    """Hash the method's own prompts for these tasks, as a spec holds them.

    Returns:
        12 hex digits; None for a method without prompts of its own.
    """
    words = method.prompts(tasks)

    return digest(words) if words else None
