"""`rpobench run` as a function: which methods on which tasks, fitted together where they share, with the control.

Whatever can be refused is refused before a model works: options, data, splits, retrievers and models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Literal

from rpobench.adapters import Adapter, find_adapter
from rpobench.cost import Estimate, Work, add_up, check_counted, priced
from rpobench.data.dataset import DataSet, shared_example
from rpobench.data.lamp import MissingData
from rpobench.data.sources import Source
from rpobench.method import Method, prompts_digest
from rpobench.models.base import LanguageModel
from rpobench.plan import Plan, configured, task_names
from rpobench.presets import get_preset
from rpobench.ranks import is_first
from rpobench.registry import get_model, get_retriever, get_task
from rpobench.runner import Runner, RunResult
from rpobench.spec import FitSpec, RunSpec
from rpobench.store import ResultStore
from rpobench.swap import NoSwap, swapped
from rpobench.task import Task
from rpobench.types import RpobenchError


def run(plan: Plan) -> list[dict[str, Any]]:
    """Run every method on every task and seed; one object a run, as `--json` prints them.

    Of several processes (`ranks`) the further ones only take part in the fits, and return nothing.
    """
    model, every = _runs(plan)
    if not is_first():
        for runs in every:
            runs.join()
        return []
    print(add_up(model, (work for runs in every for work in runs.work())).line(), file=sys.stderr)
    return [made for runs in every for made in runs.all()]


def estimate(plan: Plan) -> Estimate:
    """What `run` would ask of the base model; nothing is asked."""
    model, every = _runs(plan)
    return add_up(model, (work for runs in every for work in runs.work()))


def _runs(plan: Plan) -> tuple[LanguageModel, list[_MethodRuns]]:
    chosen, model = _checked(plan)
    store = ResultStore(plan.out)
    return model, [
        _MethodRuns(plan, Runner(store, model, seed=seed, texts=plan.texts), one)
        for seed in plan.seeds
        for one in chosen
    ]


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
    methods = [adapter.method(plan.settings)] if adapter else configured(plan)
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
    return [_Chosen(method, tasks, dict(method.models()), adapter) for method, tasks in pairs], model


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
    return any(getattr(get_retriever(name), "needs_dates", False) for name in method.retrievers())


@dataclass(frozen=True)
class _MethodRuns:
    """One method on all its tasks with one seed."""

    plan: Plan
    runner: Runner
    chosen: _Chosen

    def all(self) -> Iterator[dict[str, Any]]:
        """One object a run, in the order of the tasks."""
        untrained = self.chosen.method
        for group in untrained.fit_groups(list(self.chosen.tasks)):
            members = [self.chosen.tasks[name] for name in group]
            fit, _ = self._fit(members)
            fitted = cache(partial(self._fitted, members)) if fit else lambda: untrained
            for one in members:
                yield self._run(fitted, one, fit)

    def join(self) -> None:
        """Take part in every fit that `all` makes in the first process: those of groups with an unfinished run."""
        method = self.chosen.method
        if self.chosen.adapter or not method.trains:
            return
        for group in method.fit_groups(list(self.chosen.tasks)):
            members = [self.chosen.tasks[name] for name in group]
            fit, _ = self._fit(members)
            specs = [(one, self._spec(one, fit, profiles)) for one in members for profiles in self._profiles()]
            if not all(self.runner.finished(one.task, one.scored, spec) for one, spec in specs):
                self._fitted(members)

    def work(self) -> Iterator[Work]:
        """What `all` will have to predict and to fit, as far as it is not there yet."""
        method = self.chosen.method
        for group in method.fit_groups(list(self.chosen.tasks)):
            members = [self.chosen.tasks[name] for name in group]
            fit, fitted = self._fit(members)
            for one in members:
                examples = [labelled.example for labelled in one.scored.labelled]
                train = [] if fitted else [labelled.example for labelled in one.train.labelled]
                for profiles in self._profiles():
                    spec = self._spec(one, fit, profiles)
                    left = self.runner.open_examples(spec, examples)
                    yield Work(self.runner, method, one.task, left, train)
                    train = [] if left else train  # fitted once, for own and swapped profiles

    def _profiles(self) -> tuple[Literal["own", "swapped"], ...]:
        """Of the runs a task gets: those asked for, and the control unless nobody wants it or nothing would change."""
        control = self.plan.swap and self.plan.profiles == "own" and self.chosen.method.reads_profile
        return ("own", "swapped") if control else (self.plan.profiles,)

    def _fit_spec(self, members: Sequence[_Loaded]) -> FitSpec:
        train = {one.task: one.train for one in members}
        return FitSpec(
            **self._identity(list(train)),
            train_tasks=tuple(one.task.versioned for one in members),
            data=tuple(one.source.spec(train[one.task], len(train[one.task].labelled)) for one in members),
        )

    def _fit(self, members: Sequence[_Loaded]) -> tuple[str | None, bool]:
        """The digest of the fit that these tasks need, None where nothing is trained; and whether it is finished."""
        if not self.chosen.method.trains:
            return None, True
        if self.chosen.adapter:
            return self.chosen.adapter.digest, True
        spec = self._fit_spec(members)
        return spec.digest(), self.runner.has_fit(spec)

    def _fitted(self, members: Sequence[_Loaded]) -> Method:
        """The trained method, made or loaded."""
        method, adapter = self.chosen.method, self.chosen.adapter
        if adapter:
            return type(method).load(adapter.placed(self.runner.store), method.config)
        labelled = {one.task: one.train.labelled for one in members}
        return self.runner.fit(type(method)(method.config), self._fit_spec(members), labelled)

    def _identity(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """What a fit and a run of the method have in common."""
        method = self.chosen.method
        return {
            "method": method.name,
            "version": method.version,
            "config": method.config.model_dump(mode="json"),
            "base_model": self.runner.base_model.identity,
            "models": self.chosen.models,
            "prompts": prompts_digest(method, tasks),
            "seed": self.runner.seed,
        }

    def _run(self, fitted: Callable[[], Method], one: _Loaded, fit: str | None) -> dict[str, Any]:
        result = self._result(fitted, one, fit, self.plan.profiles)
        return summary(one.task, result, self._control(fitted, one, fit))

    def _control(self, fitted: Callable[[], Method], one: _Loaded, fit: str | None) -> RunResult | None:
        """The same run with swapped profiles, where there is to be one."""
        if len(self._profiles()) < 2:
            return None
        try:
            return self._result(fitted, one, fit, "swapped")
        except NoSwap as error:
            print(f"{one.task.name}: no personalization gain, {error}", file=sys.stderr)
            return None

    def _result(
        self, fitted: Callable[[], Method], one: _Loaded, fit: str | None, profiles: Literal["own", "swapped"]
    ) -> RunResult:
        """The result as it stands; without one the method is fitted or loaded, and run."""
        spec = self._spec(one, fit, profiles)
        finished = self.runner.finished(one.task, one.scored, spec)
        return finished or self.runner.run(fitted(), one.task, one.scored, spec)

    def _spec(self, one: _Loaded, fit: str | None, profiles: Literal["own", "swapped"]) -> RunSpec:
        return RunSpec(
            **self._identity([one.task]),
            task=one.task.versioned,
            data=one.source.spec(one.scored, one.limit),
            profiles=profiles,
            fit=fit,
        )


def summary(task: Task, run: RunResult, control: RunResult | None) -> dict[str, Any]:
    """What `--json` prints of a run."""
    main, references = task.main_metric, run.result["references"]
    values = {
        name: references[name][main] if name in references else None for name in ("draft", "best_generic", "oracle")
    }
    return {
        "run": run.folder.name,
        "task": task.name,
        "method": run.spec.method,
        "metrics": run.result["metrics"],
        "main_metric": main,
        "higher_is_better": task.metrics[main] == "max",
        "n": run.result["n"],
        "failed": run.result["failed"],
        "seconds": run.result["seconds"],
        "references": {**values, "swapped": control.result["metrics"][main] if control else None},
        **{name: run.result[name] for name in ("kept",) if name in run.result},  # of methods with a gate
    }


def _load(plan: Plan) -> list[_Loaded]:
    """The data of every task; one that only `all` brought and that has no data is told and left out."""
    preset = get_preset(plan.preset)
    source = Source(plan.data, plan.split, plan.limit, plan.limit, plan.holdout)
    if source.made_here and plan.limit is None:
        source = replace(source, scored=preset.scored, trained=preset.trained)
    tasks = {name: get_task(name) for name in task_names(plan.task)}
    loaded = []
    for name, named in task_names(plan.task).items():
        try:
            loaded.append(_Loaded(tasks[name], source, source.scored_on(tasks[name]), plan.limit, named))
        except MissingData as error:
            if named:
                raise
            print(f"{name}: skipped, {error}", file=sys.stderr)
    if not loaded:
        raise RpobenchError(f"--data {plan.data}: holds no task of --task {plan.task}")
    return loaded
