"""All runs of one method with one seed: fitted together where tasks share a fit, each with its control."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from rpobench.method.contract import Method
from rpobench.runs.again import Redo
from rpobench.runs.changed_code import check_fit_code, check_run_code
from rpobench.runs.estimate import Work
from rpobench.runs.plan import Plan
from rpobench.runs.prepare import PreparedMethod, PreparedTask
from rpobench.runs.runner import Runner
from rpobench.runs.specs import FitName, Profiles, SpecMaker
from rpobench.runs.summary import RunSummary, summarize
from rpobench.runs.swapped_profiles import NoSwap
from rpobench.store.processes import is_first
from rpobench.store.spec import RunSpec
from rpobench.store.stored_run import StoredRun
from rpobench.types import Example


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
        self._announce_finished()
        for group in self._list_fit_groups():
            # Fitted or loaded once, and only if a run of the group is not finished.
            fitted_method = cache(partial(self._fit_method, group))
            for prepared_task in group.tasks:
                run = self._run(prepared_task, group, self.plan.profiles, fitted_method)
                control = self._run_control(prepared_task, group, fitted_method)

                summary = summarize(prepared_task.task, run, control)
                yield replace(summary, serves_every_seed=self.serves_every_seed)

    def check_code(self) -> None:
        """Stop where a run, or a fit that one still needs, was begun by other code than today's.

        Raises:
            RpobenchError: The code of the method changed since; the text names the file.
        """
        for group in self._list_fit_groups():
            for spec in self._list_specs(group):
                check_run_code(self.runner.store, spec, self.runner.code)

            is_fitted_here = group.fit is not None and self.prepared_method.artefact is None
            if is_fitted_here and not self._is_finished(group):
                check_fit_code(self.runner.store, self._specs.make_fit_spec(group.tasks), self.runner.code)

    def hand_over(self, anew: Redo) -> None:
        """Name everything that was made anew, so that it can take the place of what stood.

        Args:
            anew: Takes the names.
        """
        for group in self._list_fit_groups():
            if group.fit is not None:
                anew.add_fit(group.fit.digest, is_copy=self.prepared_method.artefact is not None)
            for spec in self._list_specs(group):
                name, former_name = self.runner.store.run_folder(spec).name, anew.store.run_folder(spec).name
                anew.add_run(name, former_name, keeps_label=self.plan.label is None)
        anew.add_user_parts(self.runner.users_folder(self.prepared_method.method).name)

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
                examples = prepared_task.scored.examples
                train: Sequence[Example] = [] if group.is_fitted else prepared_task.train.examples

                for profiles in self._choose_profiles(prepared_task):
                    spec = self._specs.make_run_spec(prepared_task, profiles, group.fit)
                    missing = self.runner.find_missing_examples(spec, examples)
                    yield Work(
                        self.runner,
                        self.prepared_method.method,
                        prepared_task.task,
                        missing,
                        train,
                        fit=group.fit.digest if group.fit else None,
                        is_control=profiles == "swapped",
                    )
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
            return FitGroup(tasks, FitName(digest), is_fitted=True)

        spec = self._specs.make_fit_spec(tasks)
        every_digest = tuple(form.digest() for form in (spec, *spec.former))
        name = FitName(self.runner.store.fit_digest(spec), every_digest)
        return FitGroup(tasks, name, self.runner.has_fit(spec))

    def _choose_profiles(self, prepared_task: PreparedTask) -> tuple[Profiles, ...]:
        """Say whose profiles the runs of a task have: what the plan says, and as a control swapped ones.

        There is no control where the plan leaves it out, nor for a method that reads no profile: nothing would change.
        Nor is there one where nothing can be scored.
        """
        is_asked_for = self.plan.swap and self.plan.profiles == "own"
        with_control = is_asked_for and self.prepared_method.method.reads_profile and prepared_task.scored.has_targets
        return ("own", "swapped") if with_control else (self.plan.profiles,)

    def _list_specs(self, group: FitGroup) -> Iterator[RunSpec]:
        """The spec of every run of a group's tasks, controls too."""
        for prepared_task in group.tasks:
            for profiles in self._choose_profiles(prepared_task):
                yield self._specs.make_run_spec(prepared_task, profiles, group.fit)

    def _is_finished(self, group: FitGroup) -> bool:
        """Say whether every run of the group's tasks is finished."""
        return all(self._find_finished(prepared_task, group) for prepared_task in group.tasks)

    def _find_finished(self, prepared_task: PreparedTask, group: FitGroup) -> StoredRun | None:
        """Return the run of a task where it and its control are finished."""
        runs = []
        for profiles in self._choose_profiles(prepared_task):
            spec = self._specs.make_run_spec(prepared_task, profiles, group.fit)
            runs.append(self.runner.find_finished(prepared_task.task, prepared_task.scored, spec))
        return runs[0] if all(runs) else None

    def _announce_finished(self) -> None:
        """Say on stderr, in one line, which tasks were finished before and where their results are."""
        finished_runs = {}
        for group in self._list_fit_groups():
            for prepared_task in group.tasks:
                run = self._find_finished(prepared_task, group)
                if run:
                    finished_runs[prepared_task.task.name] = run
        if not finished_runs:
            return

        folders = [run.folder for run in finished_runs.values()]
        source = folders[0] if len(folders) == 1 else folders[0].parent
        print(f"{self._name(finished_runs)}: finished before, taken from {source}", file=sys.stderr)

    def _name(self, task_names: Iterable[str]) -> str:
        """Name tasks and the method in a message, with the seed where there are several."""
        seed = f" seed {self.runner.seed}" if len(self.plan.chosen_seeds) > 1 else ""
        return f"{', '.join(task_names)} {self.prepared_method.method.name}{seed}"

    def _fit_method(self, group: FitGroup) -> Method:
        """Return the method, fitted if it trains: by this call, by an earlier one, or elsewhere."""
        method, artefact = self.prepared_method.method, self.prepared_method.artefact
        if group.fit is None:
            return method

        if artefact:
            return type(method).load(artefact.copy_to(self.runner.store), method.config)

        train = {prepared_task.task: prepared_task.train.labelled for prepared_task in group.tasks}
        untrained, spec = type(method)(method.config), self._specs.make_fit_spec(group.tasks)
        if is_first() and self.runner.has_fit(spec):
            folder = self.runner.store.fit_folder(group.fit.digest)
            print(f"{self._name(task.name for task in train)}: fit taken from {folder}", file=sys.stderr)
        return self.runner.fit(untrained, spec, train)

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
        if len(self._choose_profiles(prepared_task)) < 2:
            return None

        try:
            return self._run(prepared_task, group, "swapped", fitted_method)
        except NoSwap as error:
            print(f"{prepared_task.task.name}: no personalization gain, {error}", file=sys.stderr)
            return None
