"""What a run needs before a model works: data, splits, retrievers and models, all of it checked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from rpobench.data.dataset import DataSet, find_shared_example
from rpobench.data.official.folder import MissingData
from rpobench.data.sources import Source
from rpobench.method.code import MethodCode, identify_code
from rpobench.method.contract import Method
from rpobench.models.protocol import LanguageModel
from rpobench.registry import get_model, get_retriever, get_task, identify_models
from rpobench.runs.artefacts import TrainedArtefact, find_artefact
from rpobench.runs.broken_plugins import skip_broken_plugin
from rpobench.runs.plan import ALL_TASKS, Plan, configure_methods, parse_task_names
from rpobench.runs.pricing import apply_price, report_uncounted_models
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.spec import DataSpec
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class PreparedTask:
    """One task's data, as scored on and (loaded only when a method trains) trained on.

    Attributes:
        task: The task.
        source: Where its data is from.
        scored: The examples that are scored.
        limit: `--limit`, if it was given.
        is_named: Whether `--task` names it by itself, and not only by `all`.
    """

    task: Task
    source: Source
    scored: DataSet
    limit: int | None
    is_named: bool

    @cached_property
    def train(self) -> DataSet:
        """The training examples, loaded once for all methods and seeds."""
        train = self.source.load_training(self.task)
        self._check_apart(train)
        return train

    @property
    def scored_spec(self) -> DataSpec:
        """What names the scored examples in the spec of a run."""
        return self.source.spec(self.scored, self.limit, users=self.source.scored_users)

    @property
    def train_spec(self) -> DataSpec:
        """What names the training examples in the spec of a fit."""
        return self.source.spec(self.train, len(self.train.labelled), users=self.source.training_users)

    @cached_property
    def is_dated(self) -> bool:
        """Whether every item of every profile has a date."""
        return all(item.date for example in self.scored.examples for item in example.profile)

    def check_unseen(self) -> None:
        """Check that no scored example stands in the training data of the same folder, where it has some.

        A module that was trained elsewhere may have learned from it.

        Raises:
            RpobenchError: It holds one.
        """
        if self.source.is_generated:
            return  # the splits of a world have no user in common

        with suppress(MissingData):
            source = replace(self.source, training_limit=None, training_users=None)
            self._check_apart(source.load_training(self.task))

    def _check_apart(self, train: DataSet) -> None:
        """Refuse training data that holds a scored example."""
        example_id = find_shared_example(train, self.scored)
        if example_id is not None:
            raise RpobenchError(
                f"--split {self.source.split}: id {example_id!r} of {self.task.name} is trained on and scored too: "
                "score another split, or take it out of one"
            )


@dataclass(frozen=True)
class PreparedMethod:
    """A method, not yet fitted, and what it runs with.

    Attributes:
        method: The method with its config; with an artefact it is fitted already.
        tasks: The tasks that it runs on, by name.
        models: Identities of the models that it uses beside the base model, by role.
        code: The code of the method.
        artefact: The trained artefact that is applied, if training is left out.
    """

    method: Method
    tasks: Mapping[str, PreparedTask]
    models: dict[str, str]
    code: MethodCode
    artefact: TrainedArtefact | None = None


@dataclass(frozen=True)
class Preparation:
    """All that a plan needs.

    Attributes:
        base_model: The model that is personalized, with its price and budget.
        methods_by_seed: The methods in the plan's order, by seed. All seeds have the same, unless each draws users.
    """

    base_model: LanguageModel
    methods_by_seed: Mapping[int, Sequence[PreparedMethod]]


@dataclass
class Notices:
    """Says on stderr what is left out and why, each line once."""

    _lines: set[str] = field(default_factory=set)

    def print(self, line: str) -> None:
        """Print a line that was not printed yet."""
        if line not in self._lines:
            self._lines.add(line)
            print(line, file=sys.stderr)


def prepare(plan: Plan) -> Preparation:
    """Load and check everything that a plan needs. Nothing is asked of a model, and nothing is written.

    What is left out, such as a task without data that only `all` brought, is named on stderr.

    Args:
        plan: What to run.

    Returns:
        The base model, and each method with its tasks.

    Raises:
        RpobenchError: Something is missing or does not fit together.
    """
    preset, seeds = plan.chosen_preset, plan.chosen_seeds
    artefact, notices = find_artefact(plan), Notices()
    methods = _choose_methods(plan, artefact)

    methods_by_seed: dict[int, Sequence[PreparedMethod]] = {}
    for seed in seeds:
        if preset.draws_users or not methods_by_seed:
            tasks = _load_tasks(plan, seed if preset.draws_users else 0, notices)
            if plan.profiles == "swapped":
                _check_swap(tasks, seed=seed)
            methods_by_seed[seed] = _prepare_methods(plan, methods, tasks, artefact, notices)
        else:
            methods_by_seed[seed] = methods_by_seed[seeds[0]]

    base_model = apply_price(get_model(plan.model_spec, **plan.factory_options()), plan)
    report_uncounted_models(plan, [] if artefact else methods)  # an artefact was trained: no teacher is asked
    return Preparation(base_model, methods_by_seed)


def _prepare_methods(
    plan: Plan,
    methods: Sequence[Method],
    tasks: Sequence[PreparedTask],
    artefact: TrainedArtefact | None,
    notices: Notices,
) -> list[PreparedMethod]:
    """Join each method with its tasks; raises an error where none has any."""
    prepared_methods = []
    for method in methods:
        with skip_broken_plugin(plan, method):
            prepared_methods.append(_prepare_method(method, tasks, artefact, notices))

    if not any(prepared_method.tasks for prepared_method in prepared_methods):
        raise RpobenchError(
            f"--method {plan.method} --task {plan.task}: no method applies to any task here: choose others"
        )
    return prepared_methods


def _choose_methods(plan: Plan, artefact: TrainedArtefact | None) -> list[Method]:
    """Make the plan's methods, without those that cannot learn; raises an error for an unknown retriever."""
    methods = [artefact.load_method(plan.settings)] if artefact else configure_methods(plan)
    methods = [method for method in methods if _can_learn_elsewhere(plan, method)]

    usable_methods = []
    for method in methods:
        with skip_broken_plugin(plan, method):
            for retriever in method.retrievers():
                get_retriever(retriever)
            usable_methods.append(method)
    return usable_methods


def _check_swap(tasks: Sequence[PreparedTask], *, seed: int) -> None:
    """Raise NoSwap now where a task has too few users to swap profiles."""
    for prepared_task in tasks:
        swap_profiles(prepared_task.scored.examples, seed=seed)


def _can_learn_elsewhere(plan: Plan, method: Method) -> bool:
    """Say whether a method has something to learn from beside the scored split.

    Without it a method that only counts is left out with a notice on stderr, and a trained one is an error.
    """
    if not method.trains or plan.split != "train" or plan.holdout is not None:
        return True

    if method.only_counts:
        print(f"{method.name} skipped, it counts on --split train itself", file=sys.stderr)
        return False

    raise RpobenchError(
        f"--split train: {method.name} trains on this split: score dev or test, or leave {method.name} out"
    )


def _load_tasks(plan: Plan, data_seed: int, notices: Notices) -> list[PreparedTask]:
    """Load the scored examples of each task; a task without data that only `all` brought is left out."""
    source, all_tasks = make_source(plan, data_seed), plan.chosen_preset.tasks or ALL_TASKS
    is_named_by_task = {get_task(name): is_named for name, is_named in parse_task_names(plan.task, all_tasks).items()}

    prepared_tasks = []
    for task, is_named in is_named_by_task.items():
        try:
            scored = source.load_scored(task)
        except MissingData as error:
            if is_named:
                raise
            notices.print(f"{task.name}: skipped, {error}")
            continue
        prepared_tasks.append(PreparedTask(task, source, scored, plan.limit, is_named))

    if not prepared_tasks:
        raise RpobenchError(f"--data {plan.data}: holds no task of --task {plan.task}")
    if not source.is_generated:
        _describe_folder(plan, source, list(is_named_by_task), notices)
    return prepared_tasks


def _describe_folder(plan: Plan, source: Source, tasks: Sequence[Task], notices: Notices) -> None:
    """Say what of a folder is shown and trained on, as far as an option or a default decides it."""
    preset = plan.chosen_preset
    origin = "" if plan.preset else " (the default on folders)"
    notices.print(f"preset {preset.name}{origin}: methods show {preset.describe_evidence(plan.settings)}")

    foreign = [task.name for task in tasks if preset.tasks and task.name not in preset.tasks]
    if foreign:
        notices.print(f"preset {preset.name}: {', '.join(foreign)} is no task of its protocol")

    overridden = [task.name for task in tasks if source.has_train_split(task)] if plan.holdout is not None else []
    if overridden:
        notices.print(
            f"--holdout {plan.holdout:g}: overrides the train split of {', '.join(overridden)}: methods train on the "
            f"other users of {plan.split}"
        )


def make_source(plan: Plan, seed: int) -> Source:
    """Make the source of a plan's data; where no limit says it, the preset says how much there is of it.

    Args:
        plan: What to run.
        seed: Decides which users of a folder are drawn.

    Returns:
        The source.
    """
    preset = plan.chosen_preset
    scored_limit, training_limit = plan.limit, plan.train_limit or plan.limit
    source = Source(
        plan.data, plan.split, scored_limit=scored_limit, training_limit=training_limit, holdout=plan.holdout, seed=seed
    )

    if source.is_generated and preset.examples:
        scored, trained = preset.examples.scored, preset.examples.trained
        return replace(source, scored_limit=scored_limit or scored, training_limit=training_limit or trained)

    if preset.users:
        scored_users = None if scored_limit else preset.users.scored
        training_users = None if training_limit else preset.users.trained
        return replace(source, scored_users=scored_users, training_users=training_users)
    return source


def _prepare_method(
    method: Method, tasks: Sequence[PreparedTask], artefact: TrainedArtefact | None, notices: Notices
) -> PreparedMethod:
    """Join a method with those of the tasks that it can run on."""
    usable_tasks = {}
    for prepared_task in tasks:
        if _can_run(method, prepared_task, notices) and _can_train(method, prepared_task, artefact, notices):
            usable_tasks[prepared_task.task.name] = prepared_task
    return PreparedMethod(method, usable_tasks, identify_models(method), identify_code(type(method)), artefact)


def _can_run(method: Method, prepared_task: PreparedTask, notices: Notices) -> bool:
    """Say whether a method is made for a task and finds the dates that it needs; if not, stderr says why."""
    if not method.applies_to(prepared_task.task):
        notices.print(f"{prepared_task.task.name}: {method.name} does not apply, n/a")
        return False

    if _needs_dates(method) and not prepared_task.is_dated:
        notices.print(f"{prepared_task.task.name}: {method.name} needs dates, which this data has not, n/a")
        return False
    return True


def _needs_dates(method: Method) -> bool:
    return any(get_retriever(name).needs_dates for name in method.retrievers())


def _can_train(method: Method, prepared_task: PreparedTask, artefact: TrainedArtefact | None, notices: Notices) -> bool:
    """Say whether a method finds what it learns from. An artefact was trained already, and must know the task.

    A method that only counts, or a task that only `all` brought, may lack training data.
    """
    if artefact:
        artefact.check_task(prepared_task.task, prepared_task.scored_spec)
        prepared_task.check_unseen()
        return True

    if not method.trains:
        return True

    try:
        return bool(prepared_task.train.labelled)
    except MissingData as error:
        if prepared_task.is_named and not method.only_counts:
            raise
        notices.print(f"{prepared_task.task.name}: {method.name} skipped, {error}")
        return False
