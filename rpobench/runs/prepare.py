"""What a plan needs before a model works: data, splits, retrievers and models."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from rpobench.data.dataset import DataSet, shared_example
from rpobench.data.official.folder import MissingData
from rpobench.data.sources import Source
from rpobench.method.contract import Method
from rpobench.models.protocol import LanguageModel
from rpobench.registry import get_model, get_retriever, get_task, model_identities
from rpobench.runs.artefacts import Adapter, find_adapter
from rpobench.runs.estimate import check_counted, priced
from rpobench.runs.plan import Plan, configure_methods, get_preset, parse_task_names
from rpobench.runs.swapped_profiles import swapped
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class _Loaded:
    """One task's data, as scored on and (loaded only when a method trains) trained on."""

    task: Task
    source: Source
    scored: DataSet
    limit: int | None
    named: bool  # by itself, and not only by `all`

    @cached_property
    def train(self) -> DataSet:
        """The training examples, loaded once for all methods and seeds."""
        train = self.source.trained_on(self.task)
        self._check_apart(train)
        return train

    def check_unseen(self) -> None:
        """Raises RpobenchError where the training data of this folder, if it has some, holds a scored example."""
        if self.source.made_here:
            return  # the splits of a world have no user in common
        with suppress(MissingData):
            self._check_apart(replace(self.source, trained=None).trained_on(self.task))

    def _check_apart(self, train: DataSet) -> None:
        both = shared_example(train, self.scored)
        if both is not None:
            raise RpobenchError(
                f"--split {self.source.split}: id {both!r} of {self.task.name} is trained on and scored too: "
                "score another split, or take it out of one"
            )

    @cached_property
    def dated(self) -> bool:
        """Whether every item of every profile has a date."""
        return all(item.date for one in self.scored.labelled for item in one.example.profile)


@dataclass(frozen=True)
class _Chosen:
    """A method, not yet fitted, with the tasks it runs on and the identities of the models it uses."""

    method: Method
    tasks: Mapping[str, _Loaded]
    models: dict[str, str]
    adapter: Adapter | None = None


def _checked(plan: Plan) -> tuple[list[_Chosen], LanguageModel]:
    """The plan's methods, tasks and base model, with everything in place that they need."""
    adapter = find_adapter(plan)
    methods = [adapter.method(plan.settings)] if adapter else configure_methods(plan)
    methods = [method for method in methods if _other_split(plan, method)]
    for method in methods:
        for name in method.retrievers():
            get_retriever(name)
    loaded = _load(plan)
    if plan.profiles == "swapped":
        for one in loaded:
            swapped([labelled.example for labelled in one.scored.labelled], seed=plan.seeds[0])
    usable = [{one.task.name: one for one in loaded if _usable(method, one, adapter)} for method in methods]
    if not any(usable):
        raise RpobenchError(f"--method {plan.method} --task {plan.task}: applies to none of these tasks here")
    model = priced(get_model(plan.base_model, **plan.model_options()), plan)
    check_counted(plan, [] if adapter else methods)  # with an adapter nothing is trained, so no teacher is asked
    pairs = zip(methods, usable, strict=True)
    return [_Chosen(method, tasks, model_identities(method), adapter) for method, tasks in pairs], model


def _other_split(plan: Plan, method: Method) -> bool:
    """Whether the method learns from another split than the scored one; one that only counts is left out if not."""
    if not method.trains or plan.split != "train" or plan.holdout is not None:
        return True
    if method.only_counts:
        print(f"{method.name} skipped, it counts on --split train itself", file=sys.stderr)
        return False
    raise RpobenchError(
        f"--split train: {method.name} trains on this split: score dev or test, or leave {method.name} out"
    )


def _usable(method: Method, one: _Loaded, adapter: Adapter | None) -> bool:
    """Whether the method runs on this task; one that only counts, or a task that only `all` brought, may lack training
    data. Nothing is trained with an adapter, which must know the task."""
    if not method.applies_to(one.task):
        print(f"{one.task.name}: {method.name} does not apply, n/a", file=sys.stderr)
        return False
    if _needs_dates(method) and not one.dated:
        print(f"{one.task.name}: {method.name} needs dates, which this data has not, n/a", file=sys.stderr)
        return False
    if adapter:
        adapter.check_task(one.task, one.source.spec(one.scored, one.limit))
        one.check_unseen()
        return True
    try:
        return not method.trains or bool(one.train.labelled)
    except MissingData as error:
        if one.named and not method.only_counts:
            raise
        print(f"{one.task.name}: {method.name} skipped, {error}", file=sys.stderr)
        return False


def _needs_dates(method: Method) -> bool:
    return any(get_retriever(name).needs_dates for name in method.retrievers())


def _load(plan: Plan) -> list[_Loaded]:
    """The data of every task; one that only `all` brought and that has no data is told and left out."""
    preset = get_preset(plan.preset)
    source = Source(plan.data, plan.split, plan.limit, plan.limit, plan.holdout)
    if source.made_here and plan.limit is None:
        source = replace(source, scored=preset.scored, trained=preset.trained)
    tasks = {name: get_task(name) for name in parse_task_names(plan.task)}
    loaded = []
    for name, named in parse_task_names(plan.task).items():
        try:
            loaded.append(_Loaded(tasks[name], source, source.scored_on(tasks[name]), plan.limit, named))
        except MissingData as error:
            if named:
                raise
            print(f"{name}: skipped, {error}", file=sys.stderr)
    if not loaded:
        raise RpobenchError(f"--data {plan.data}: holds no task of --task {plan.task}")
    return loaded
