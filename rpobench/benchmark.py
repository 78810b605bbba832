"""`rpobench run` as a function: which methods on which tasks, fitted together where they share, with the control."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from rpobench.data.dataset import DataSet
from rpobench.data.lamp import MissingData
from rpobench.data.sources import Source
from rpobench.method import Method
from rpobench.models.base import LanguageModel
from rpobench.presets import get_preset
from rpobench.registry import get_method, get_model, get_task, names
from rpobench.runner import Runner, RunResult
from rpobench.spec import FitSpec, RunSpec
from rpobench.store import ResultStore
from rpobench.swap import NoSwap, swapped
from rpobench.task import Task
from rpobench.types import RpobenchError

ALL_TASKS = tuple(f"LaMP-{number}" for number in range(1, 8))


@dataclass(frozen=True)
class Plan:
    """The options of `rpobench run`; see the CLI for their meaning."""

    method: str
    task: str
    data: str = "synth"
    split: str = "dev"
    base_model: str = "smollm2-135m"
    settings: Mapping[str, str] = field(default_factory=dict)
    preset: str = "quick"
    limit: int | None = None
    seeds: tuple[int, ...] = (0,)
    holdout: float | None = None
    profiles: Literal["own", "swapped"] = "own"
    swap: bool = True
    out: Path = Path("runs")
    texts: bool = True


def run(plan: Plan) -> list[dict[str, Any]]:
    """Run every method on every task and seed; one object a run, as `--json` prints them."""
    methods = _configured(plan)
    loaded = _load(plan)
    model, store = get_model(plan.base_model), ResultStore(plan.out)
    return [
        made
        for seed in plan.seeds
        for method_class, config in methods
        for made in _MethodRuns(plan, store, model, seed, method_class, config, loaded).all()
    ]


@dataclass(frozen=True)
class _Loaded:
    """One task's data, as scored on and (loaded only when a method trains) trained on."""

    task: Task
    source: Source
    scored: DataSet
    limit: int | None

    @cached_property
    def train(self) -> DataSet:
        """The training examples, loaded once for all methods and seeds."""
        return self.source.trained_on(self.task)


@dataclass(frozen=True)
class _MethodRuns:
    """One method on all its tasks with one seed."""

    plan: Plan
    store: ResultStore
    model: LanguageModel
    seed: int
    method_class: type[Method]
    config: BaseModel
    loaded: Sequence[_Loaded]

    def all(self) -> Iterator[dict[str, Any]]:
        """One object a run, in the order of the tasks."""
        runner = Runner(self.store, self.model, seed=self.seed, texts=self.plan.texts)
        untrained = self.method_class(self.config)
        usable = {one.task.name: one for one in self.loaded if self._usable(untrained, one)}
        for group in untrained.fit_groups(list(usable)):
            members = [usable[name] for name in group]
            method, fit = self._fitted(runner, members) if self.method_class.trains else (untrained, None)
            for one in members:
                yield self._run(runner, method, one, fit)

    def _usable(self, method: Method, one: _Loaded) -> bool:
        """Whether the method runs on this task; with `all` a task without training data is named and left out."""
        if not method.applies_to(one.task):
            print(f"{one.task.name}: {method.name} does not apply, n/a", file=sys.stderr)
            return False
        try:
            return not method.trains or bool(one.train.labelled)
        except MissingData as error:
            if self.plan.task != "all":
                raise
            print(f"{one.task.name}: {method.name} skipped, {error}", file=sys.stderr)
            return False

    def _fitted(self, runner: Runner, members: Sequence[_Loaded]) -> tuple[Method, str]:
        train = {one.task: one.train for one in members}
        spec = FitSpec(
            method=self.method_class.name,
            version=self.method_class.version,
            config=self.config.model_dump(mode="json"),
            train_tasks=tuple(_versioned(one.task) for one in members),
            data=tuple(one.source.spec(train[one.task], len(train[one.task].labelled)) for one in members),
            base_model=self.model.identity,
            seed=self.seed,
        )
        labelled = {task: data.labelled for task, data in train.items()}
        return runner.fit(self.method_class(self.config), spec, labelled), spec.digest()

    def _run(self, runner: Runner, method: Method, one: _Loaded, fit: str | None) -> dict[str, Any]:
        spec = RunSpec(
            task=_versioned(one.task),
            data=one.source.spec(one.scored, one.limit),
            profiles=self.plan.profiles,
            method=method.name,
            version=method.version,
            config=self.config.model_dump(mode="json"),
            base_model=self.model.identity,
            fit=fit,
            seed=self.seed,
        )
        result = runner.run(method, one.task, one.scored, spec)
        return summary(one.task, result, self._control(runner, method, one, spec))

    def _control(self, runner: Runner, method: Method, one: _Loaded, spec: RunSpec) -> RunResult | None:
        """The same run with swapped profiles, unless it cannot differ or nobody is there to swap with."""
        if not self.plan.swap or self.plan.profiles == "swapped" or not method.reads_profile:
            return None
        try:
            swapped([labelled.example for labelled in one.scored.labelled], seed=spec.seed)
        except NoSwap as error:
            print(f"{one.task.name}: no personalization gain, {error}", file=sys.stderr)
            return None
        return runner.run(method, one.task, one.scored, spec.model_copy(update={"profiles": "swapped"}))


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
    }


def _load(plan: Plan) -> list[_Loaded]:
    """The data of every task; with `all` a task without data is named and left out."""
    preset = get_preset(plan.preset)
    is_synth = plan.data.partition(":")[0] == "synth"
    source = Source(
        data=plan.data,
        split=plan.split,
        scored=plan.limit or (preset.scored if is_synth else None),
        trained=plan.limit or (preset.trained if is_synth else None),
        holdout=plan.holdout,
    )
    loaded = []
    for name in _task_names(plan.task):
        task = get_task(name)
        try:
            loaded.append(_Loaded(task, source, source.scored_on(task), plan.limit))
        except MissingData as error:
            if plan.task != "all":
                raise
            print(f"{name}: skipped, {error}", file=sys.stderr)
    if not loaded:
        raise RpobenchError(f"--data {plan.data}: holds no task of --task {plan.task}")
    return loaded


def _task_names(asked: str) -> list[str]:
    return list(ALL_TASKS) if asked == "all" else list(dict.fromkeys(name.strip() for name in asked.split(",")))


def _method_names(asked: str) -> list[str]:
    if asked in ("all", "trained", "untrained"):
        wanted = {"all": (True, False), "trained": (True,), "untrained": (False,)}[asked]
        return [name for name in names("methods") if get_method(name).trains in wanted]
    return list(dict.fromkeys(name.strip() for name in asked.split(",")))


def _configured(plan: Plan) -> list[tuple[type[Method], BaseModel]]:
    """Each method with its config: defaults, then the preset's values, then `--set`."""
    get_preset(plan.preset)
    classes = [get_method(name) for name in _method_names(plan.method)]
    known = {key for one in classes for key in one.Config.model_fields}
    for key in plan.settings:
        if key not in known:
            near = get_close_matches(key, known, n=3) or sorted(known)
            raise RpobenchError(f"--set {key}: no such option of {plan.method}: did you mean {' or '.join(near)}?")
    configured: list[tuple[type[Method], BaseModel]] = []
    for one in classes:
        values = {**one.presets.get(plan.preset, {}), **_own(plan.settings, one)}
        try:
            configured.append((one, one.Config(**values)))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise RpobenchError(f"--set {place}={first['input']}: {first['msg']}") from error
    return configured


def _own(settings: Mapping[str, str], method: type[Method]) -> dict[str, str]:
    return {key: value for key, value in settings.items() if key in method.Config.model_fields}


def _versioned(task: Task) -> str:
    return f"{task.name}@{task.version}"
