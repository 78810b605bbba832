"""All runs of one method with one seed: fitted together where tasks share a fit, each with its control."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from rpobench.method.contract import Method
from rpobench.runs.estimate import Work
from rpobench.runs.plan import Plan
from rpobench.runs.prepare import PreparedMethod, PreparedTask
from rpobench.runs.runner import Runner
from rpobench.runs.specs import FitName, Profiles, SpecMaker
from rpobench.runs.summary import RunSummary, summarize
from rpobench.runs.swapped_profiles import NoSwap
from rpobench.store.stored_run import StoredRun


@dataclass(frozen=True)
class FitGroup:
    """Tasks that share a fit.

    Attributes:
        tasks: The tasks, in order.
        fit: The name of the fit; None where nothing is trained.
        is_fitted: Whether nothing is left to fit.
    """

    tasks: Sequence[PreparedTask]
    fit: FitName | None
    is_fitted: bool


@dataclass(frozen=True)
class MethodRuns:
    """The runs of one method on all its tasks with one seed.

    Attributes:
        plan: What to run.
        runner: Carries out fits and runs, with this seed.
        prepared_method: The method and its tasks.
        serves_every_seed: Whether other seeds would answer alike, so that these runs are those of all.
    """

    plan: Plan
    runner: Runner
    prepared_method: PreparedMethod
    serves_every_seed: bool = False

    def run_all(self) -> Iterator[RunSummary]:
        """Run every task.

        Yields:
            A summary of each run, in the order of the tasks.
        """
        for group in self._list_fit_groups():
            # Fitted or loaded once, and only if a run of the group is not finished.
            fitted_method = cache(partial(self._fit_method, group))
            for prepared_task in group.tasks:
                run = self._run(prepared_task, group, self.plan.profiles, fitted_method)
                control = self._run_control(prepared_task, group, fitted_method)

                summary = summarize(prepared_task.task, run, control)
                yield replace(summary, serves_every_seed=self.serves_every_seed)

    def join_fits(self) -> None:
        """Take part in every fit that `run_all` makes in the first process of this launch.

        Those are the fits of the groups that have an unfinished run.
        """
        if self.prepared_method.artefact or not self.prepared_method.method.trains:
            return

        for group in self._list_fit_groups():
            if not self._is_finished(group):
                self._fit_method(group)

    def list_work(self) -> Iterator[Work]:
        """List what `run_all` has to predict and to fit, as far as it is not there yet.

        Yields:
            The work of each run.
        """
        for group in self._list_fit_groups():
            for prepared_task in group.tasks:
                examples = [labelled.example for labelled in prepared_task.scored.labelled]
                train = [] if group.is_fitted else [labelled.example for labelled in prepared_task.train.labelled]

                for profiles in self._choose_profiles():
                    spec = self._specs.make_run_spec(prepared_task, profiles, group.fit)
                    missing = self.runner.find_missing_examples(spec, examples)
                    yield Work(self.runner, self.prepared_method.method, prepared_task.task, missing, train)
                    train = [] if missing else train  # fitted once, for own and swapped profiles

    @property
    def _specs(self) -> SpecMaker:
        return SpecMaker(self.prepared_method, self.runner.base_model.identity, self.runner.seed)

    def _list_fit_groups(self) -> Iterator[FitGroup]:
        method, tasks = self.prepared_method.method, self.prepared_method.tasks
        for task_names in method.fit_groups(list(tasks)):
            yield self._make_group([tasks[name] for name in task_names])

    def _make_group(self, tasks: Sequence[PreparedTask]) -> FitGroup:
        """Name the fit of tasks that share one: none, that of the artefact, or the one with their spec."""
        if not self.prepared_method.method.trains:
            return FitGroup(tasks, None, is_fitted=True)

        if self.prepared_method.artefact:
            digest = self.prepared_method.artefact.digest
            return FitGroup(tasks, FitName(digest, digest), is_fitted=True)

        spec = self._specs.make_fit_spec(tasks)
        name = FitName(self.runner.store.fit_digest(spec), spec.as_recorded().digest())
        return FitGroup(tasks, name, self.runner.has_fit(spec))

    def _choose_profiles(self) -> tuple[Profiles, ...]:
        """Say whose profiles the runs of a task have: what the plan says, and as a control swapped ones.

        There is no control where the plan leaves it out, nor for a method that reads no profile: nothing would change.
        """
        with_control = self.plan.swap and self.plan.profiles == "own" and self.prepared_method.method.reads_profile
        return ("own", "swapped") if with_control else (self.plan.profiles,)

    def _is_finished(self, group: FitGroup) -> bool:
        """Say whether every run of the group's tasks is finished."""
        for prepared_task in group.tasks:
            for profiles in self._choose_profiles():
                spec = self._specs.make_run_spec(prepared_task, profiles, group.fit)
                if not self.runner.find_finished(prepared_task.task, prepared_task.scored, spec):
                    return False
        return True

    def _fit_method(self, group: FitGroup) -> Method:
        """Return the method, fitted if it trains: by this call, by an earlier one, or elsewhere."""
        method, artefact = self.prepared_method.method, self.prepared_method.artefact
        if group.fit is None:
            return method

        if artefact:
            return type(method).load(artefact.copy_to(self.runner.store), method.config)

        train = {prepared_task.task: prepared_task.train.labelled for prepared_task in group.tasks}
        untrained = type(method)(method.config)
        return self.runner.fit(untrained, self._specs.make_fit_spec(group.tasks), train)

    def _run(
        self, prepared_task: PreparedTask, group: FitGroup, profiles: Profiles, fitted_method: Callable[[], Method]
    ) -> StoredRun:
        """Return a run; it is only made where it is not finished yet."""
        spec = self._specs.make_run_spec(prepared_task, profiles, group.fit)
        finished_run = self.runner.find_finished(prepared_task.task, prepared_task.scored, spec)
        return finished_run or self.runner.run(fitted_method(), prepared_task.task, prepared_task.scored, spec)

    def _run_control(
        self, prepared_task: PreparedTask, group: FitGroup, fitted_method: Callable[[], Method]
    ) -> StoredRun | None:
        """Return the same run with swapped profiles; None where there is to be none, or too few users to swap."""
        if len(self._choose_profiles()) < 2:
            return None

        try:
            return self._run(prepared_task, group, "swapped", fitted_method)
        except NoSwap as error:
            print(f"{prepared_task.task.name}: no personalization gain, {error}", file=sys.stderr)
            return None
