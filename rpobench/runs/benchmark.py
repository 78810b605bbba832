"""`rpobench run` as a function: which methods on which tasks, fitted together where they share, with the control.

Whatever can be refused is refused before a model works: options, data, splits, retrievers and models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from rpobench.method.contract import Method, prompts_digest
from rpobench.models.protocol import LanguageModel
from rpobench.runs.estimate import Estimate, Work, estimate_work
from rpobench.runs.plan import Plan
from rpobench.runs.prepare import PreparedMethod, PreparedTask, prepare
from rpobench.runs.runner import Runner, RunResult
from rpobench.runs.summary import RunSummary, summarize
from rpobench.runs.swapped_profiles import NoSwap
from rpobench.store.processes import is_first
from rpobench.store.recorded import recorded_prompts
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.task.contract import Task


def run(plan: Plan) -> list[RunSummary]:
    """Run every method on every task and seed.

    Of several processes (`ranks`) the further ones only take part in the fits, and return nothing.
    """
    model, every = _runs(plan)
    if not is_first():
        for runs in every:
            runs.join()
        return []
    print(estimate_work(model, (work for runs in every for work in runs.work())).line(), file=sys.stderr)
    return [made for runs in every for made in runs.all()]


def estimate(plan: Plan) -> Estimate:
    """What `run` would ask of the base model; nothing is asked."""
    model, every = _runs(plan)
    return estimate_work(model, (work for runs in every for work in runs.work()))


def _runs(plan: Plan) -> tuple[LanguageModel, list[_MethodRuns]]:
    preparation = prepare(plan)
    store, model = ResultStore(plan.out), preparation.base_model

    runs = []
    for seed in plan.seeds:
        for method in preparation.methods:
            runs.append(_MethodRuns(plan, Runner(store, model, seed=seed, texts=plan.texts), method))
    return model, runs


@dataclass(frozen=True)
class FitName:
    """The digest of a fit in this store, and the one by which version 0.1 would have named it."""

    digest: str
    recorded: str


@dataclass(frozen=True)
class _MethodRuns:
    """One method on all its tasks with one seed."""

    plan: Plan
    runner: Runner
    chosen: PreparedMethod

    def all(self) -> Iterator[RunSummary]:
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
            if not all(self.runner.find_finished(one.task, one.scored, spec) for one, spec in specs):
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
                    left = self.runner.missing_examples(spec, examples)
                    yield Work(self.runner, method, one.task, left, train)
                    train = [] if left else train  # fitted once, for own and swapped profiles

    def _profiles(self) -> tuple[Literal["own", "swapped"], ...]:
        """Of the runs a task gets: those asked for, and the control unless nobody wants it or nothing would change."""
        control = self.plan.swap and self.plan.profiles == "own" and self.chosen.method.reads_profile
        return ("own", "swapped") if control else (self.plan.profiles,)

    def _fit_spec(self, members: Sequence[PreparedTask]) -> FitSpec:
        spec = FitSpec(
            **self._identity([member.task for member in members]),
            train_tasks=tuple(member.task.versioned for member in members),
            data=tuple(member.train_spec for member in members),
        )
        return spec.model_copy(update={"recorded": spec.as_recorded()})

    def _fit(self, members: Sequence[PreparedTask]) -> tuple[FitName | None, bool]:
        """The digest of the fit that these tasks need, None where nothing is trained; and whether it is finished."""
        if not self.chosen.method.trains:
            return None, True
        if self.chosen.adapter:
            digest = self.chosen.adapter.digest
            return FitName(digest, digest), True
        spec = self._fit_spec(members)
        digest = self.runner.store.fit_digest(spec)
        return FitName(digest, spec.as_recorded().digest()), self.runner.has_fit(spec)

    def _fitted(self, members: Sequence[PreparedTask]) -> Method:
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
            "knobs": method.changed_knobs(),
            "base_model": self.runner.base_model.identity,
            "models": self.chosen.models,
            "prompts": prompts_digest(method, tasks),
            "recorded_prompts": recorded_prompts(method.prompts(tasks)),
            "seed": self.runner.seed,
        }

    def _run(self, fitted: Callable[[], Method], one: PreparedTask, fit: FitName | None) -> RunSummary:
        result = self._result(fitted, one, fit, self.plan.profiles)
        return summarize(one.task, result, self._control(fitted, one, fit))

    def _control(self, fitted: Callable[[], Method], one: PreparedTask, fit: FitName | None) -> RunResult | None:
        """The same run with swapped profiles, where there is to be one."""
        if len(self._profiles()) < 2:
            return None
        try:
            return self._result(fitted, one, fit, "swapped")
        except NoSwap as error:
            print(f"{one.task.name}: no personalization gain, {error}", file=sys.stderr)
            return None

    def _result(
        self, fitted: Callable[[], Method], one: PreparedTask, fit: FitName | None, profiles: Literal["own", "swapped"]
    ) -> RunResult:
        """The result as it stands; without one the method is fitted or loaded, and run."""
        spec = self._spec(one, fit, profiles)
        finished = self.runner.find_finished(one.task, one.scored, spec)
        return finished or self.runner.run(fitted(), one.task, one.scored, spec)

    def _spec(self, one: PreparedTask, fit: FitName | None, profiles: Literal["own", "swapped"]) -> RunSpec:
        spec = RunSpec(
            **self._identity([one.task]),
            task=one.task.versioned,
            data=one.scored_spec,
            profiles=profiles,
            fit=fit.digest if fit else None,
        )
        recorded = spec.as_recorded(fit=fit.recorded if fit else None)
        return spec.model_copy(update={"recorded": recorded})
