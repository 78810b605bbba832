"""The contract of a method: learn from labelled training examples (or nothing), then predict unlabelled ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from rpobench.method.config import MethodConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.store.identity import digest
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Prediction, Usage


class Method(ABC):
    """One way to answer examples for their users.

    Subclasses set `name`, and `Config` where they have knobs (`--set key=value`). A method that learns sets `trains`
    and overrides `fit`, `save` and `load`. `presets` maps a preset's name to the config values it changes.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    trains: ClassVar[bool] = False
    only_counts: ClassVar[bool] = False  # True: `fit` counts and trains no parameters, so it is of the untrained
    by_name_only: ClassVar[bool] = False  # True: too costly for `--method all`, runs only when named
    fits_by_asking: ClassVar[bool] = False  # True: the base model answers in `fit` too, so an estimate rehearses both
    reads_profile: ClassVar[bool] = True  # False: swapped profiles change nothing, so no such run is made
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    applied: ClassVar[frozenset[str]] = frozenset()  # knobs that no `fit` reads: they can be set anew with --adapter
    fit_usage: Usage | None = None  # what `fit` cost in calls and tokens, set by a method that counts them
    fit_tokens: Mapping[str, int] | None = None  # that `fit` trained on, by stage, each time they were read

    class Config(MethodConfig):
        """The knobs of a method; part of every spec."""

    def __init__(self, config: BaseModel) -> None:
        self.config: Any = config

    def changed_knobs(self) -> dict[str, Any]:
        """The knobs whose values differ from the defaults of this version, as a spec holds them."""
        fields = type(self.config).model_fields
        defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
        differing = {name for name, default in defaults.items() if getattr(self.config, name) != default}
        config: dict[str, Any] = self.config.model_dump(mode="json")
        return {name: value for name, value in config.items() if name in differing}

    def applies_to(self, task: Task) -> bool:
        """False where the method means nothing; the cell is then n/a, never a zero."""
        return True

    def models(self) -> Mapping[str, str]:
        """Identities of the models the method itself uses besides the base model, by their role; part of its specs.

        The encoders of its retrievers are added by `registry.model_identities`. Asked before any model works: raises
        RpobenchError for a model that cannot be used.
        """
        return {}

    def prompts(self, tasks: Sequence[Task]) -> str | Sequence[object]:
        """The method's own words for these tasks; their hash is part of its specs.

        Args:
            tasks: The tasks that a spec is made for.

        Returns:
            Everything that words what a model is asked: texts, chats and numbers, in lists and tuples. Empty for a
            method without prompts of its own.
        """
        return ()

    def retrievers(self) -> Sequence[str]:
        """Names of the retrievers it takes evidence from, looked up before any model works."""
        named = getattr(self.config, "retriever", None)
        return (named,) if named else ()

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        """Which tasks are fitted together: one fit a task unless a method shares what it learns."""
        return [(name,) for name in tasks]

    def fit(self, train: Mapping[Task, Sequence[Labelled]], ctx: FitContext) -> None:
        """Learn from training users. Files go to `ctx.folder`; called again after a kill, it must continue there."""

    @abstractmethod
    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        """Yield one prediction for each example. Never sees a target."""

    def save(self, path: Path) -> None:
        """Write what `fit` learned under the folder `path`; nothing by default."""

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Method:
        """A method as `save` left it."""
        return cls(config)


def prompts_digest(method: Method, tasks: Sequence[Task]) -> str | None:
    """How the method's own prompts for these tasks stand in a spec.

    Returns:
        12 hex digits; None for a method without prompts of its own.
    """
    words = method.prompts(tasks)
    return digest(words) if words else None
