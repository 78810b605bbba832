"""Which finished runs a report or a comparison is of: folders, filters, and the names that reports print."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpobench.leaderboard.rows import name_rows

from rpobench.registry import suggest_names
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError

MODEL_SEPARATORS = ("@", "+", "?", "&", ":")  # what follows a base model's name in its identity


class RunFolders:
    """One or several folders of runs, read like one."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Name the folders.

        Args:
            folders: Each a folder of runs or a packed set.
        """
        self.stores = [ResultStore(folder) for folder in folders]

    def find_runs(self) -> list[StoredRun]:
        """Read every finished run. One that stands in several folders is read once.

        Raises:
            RpobenchError: A folder has none, or a run of one name has other numbers in another folder.
        """
        runs: dict[str, StoredRun] = {}
        for store in self.stores:
            stored_runs = store.find_runs()
            if not stored_runs:
                raise RpobenchError(f"{store.root}: no finished run, make one with `rpobench run`")
            for run in stored_runs:
                first = runs.setdefault(run.name, run)
                if first.result.metrics != run.result.metrics:
                    raise RpobenchError(f"{first.folder} and {run.folder} differ in their results: leave one out")

        return [runs[name] for name in sorted(runs)]

    def find(self, name: str) -> StoredRun:
        """Read the finished run with this name, its digest or the path of its folder.

        Raises:
            RpobenchError: No folder holds it.
        """
        faults = []
        for store in self.stores:
            try:
                return store.find(name)
            except RpobenchError as error:
                faults.append(error)

        raise faults[0]


@dataclass(frozen=True)
class RunFilter:
    """Which of the runs in a folder are meant. What is empty or None leaves all.

    Attributes:
        method: Names of methods, or of rows as reports print them.
        task: Names of tasks.
        base_model: Base models as they are typed, or their identities as reports print them.
        settings: Values of knobs, as `--set` takes them.
        label: Labels.
        data: Data sets as tables name them, worlds of them (`synth-v1:11`), or the paths of official folders.
        split: The split.
        limit: The limit, 0 for runs without one.
    """

    method: Sequence[str] = ()
    task: Sequence[str] = ()
    base_model: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    label: Sequence[str] = ()
    data: Sequence[str] = ()
    split: str | None = None
    limit: int | None = None

    def select(self, runs: Sequence[StoredRun]) -> list[StoredRun]:
        """Leave the runs that every option admits.

        Args:
            runs: Finished runs.

        Returns:
            Some of them, at least one, in their order.

        Raises:
            RpobenchError: An option admits no run that the others left; the text names it, and what there is.
        """
        rows = name_rows(runs)
        selected = list(runs)

        for option, values, admits, names_of in self._list_tests(rows):
            for value in values:
                if not any(admits(run, value) for run in selected):
                    names = sorted({name for run in selected for name in names_of(run)})
                    raise RpobenchError(f"{option} {value}: no finished run here; {suggest_names(value, names)}")
            if values:
                selected = [run for run in selected if any(admits(run, value) for value in values)]

        return self._select_by_settings(selected)

    def _list_tests(self, rows: Mapping[str, str]) -> list[_Test]:
        """Each option with its values, whether a run has one of them, and what else there is to name."""
        limit = [] if self.limit is None else [str(self.limit)]
        split = [] if self.split is None else [self.split]

        return [
            ("--method", self.method, _has_name(rows), lambda run: [run.spec.method, rows[run.name]]),
            ("--task", self.task, lambda run, task: task in (run.task_name, run.spec.task), _task_of),
            ("--base-model", self.base_model, _has_base_model, lambda run: [run.spec.base_model]),
            ("--label", self.label, lambda run, label: label == run.environment.label, _labels_of),
            ("--data", self.data, _has_data, lambda run: [run.spec.data.source, _world_of(run)]),
            ("--split", split, lambda run, name: name == run.spec.data.split, lambda run: [run.spec.data.split]),
            ("--limit", limit, lambda run, number: number == _limit_of(run), lambda run: [_limit_of(run)]),
        ]

    def _select_by_settings(self, runs: Sequence[StoredRun]) -> list[StoredRun]:
        selected = list(runs)
        for knob, value in self.settings.items():
            selected = [run for run in selected if knob in run.spec.config and _spells(run.spec.config[knob], value)]
            if not selected:
                raise RpobenchError(f"--set {knob}={value}: no finished run here has it; leave it out")
        return selected


_Test = tuple[str, Sequence[str], Callable[[StoredRun, str], bool], Callable[[StoredRun], Sequence[str]]]


def choose_runs(folders: RunFolders, names: Sequence[str], run_filter: RunFilter | None = None) -> list[StoredRun]:
    """Find the finished runs that names mean.

    Args:
        folders: Where the runs are.
        names: Each a row as reports print it, a label, a method for all its runs with own profiles, or a run.
        run_filter: Narrows all that is not named as a run.

    Returns:
        The runs, in the order of the names, each once.

    Raises:
        RpobenchError: A name means no finished run, or the filter leaves none.
    """
    selected = (run_filter or RunFilter()).select(folders.find_runs())

    chosen: dict[str, StoredRun] = {}
    for name in names:
        for run in _runs_called(folders, selected, name):
            chosen[run.name] = run
    return list(chosen.values())


def _runs_called(folders: RunFolders, runs: Sequence[StoredRun], name: str) -> Sequence[StoredRun]:
    """The runs that one name means: the row of this name, else the method, else the run."""
    rows = name_rows(runs)
    runs_with_own_profiles = [run for run in runs if run.has_own_profiles]

    of_row = [run for run in runs_with_own_profiles if name in (rows[run.name], run.environment.label)]
    of_method = [run for run in runs_with_own_profiles if name == run.spec.method]
    if of_row or of_method:
        return of_row or of_method

    try:
        return [folders.find(name)]
    except RpobenchError as error:
        near = suggest_names(name, sorted({rows[run.name] for run in runs_with_own_profiles}))
        raise RpobenchError(f"{error}; of the rows of reports: {near}") from error


def _has_name(rows: Mapping[str, str]) -> Callable[[StoredRun, str], bool]:
    return lambda run, name: name in (run.spec.method, rows[run.name])


def _task_of(run: StoredRun) -> Sequence[str]:
    return [run.task_name]


def _labels_of(run: StoredRun) -> Sequence[str]:
    return [run.environment.label] if run.environment.label else []


def _world_of(run: StoredRun) -> str:
    data = run.spec.data
    return f"{data.source}:{data.seed}" if run.result.synthetic else data.source


def _limit_of(run: StoredRun) -> str:
    return str(run.spec.data.limit or 0)


def _has_base_model(run: StoredRun, name: str) -> bool:
    """Whether this is the base model's identity, or what stands before its revision and options."""
    identity = run.spec.base_model
    return identity == name or (identity.startswith(name) and identity[len(name)].startswith(MODEL_SEPARATORS))


def _has_data(run: StoredRun, name: str) -> bool:
    """Whether this names the run's data: a source, one of its worlds, `synth` for any version, or a folder's path."""
    source, _, world = name.partition(":")
    if run.result.synthetic:
        versions = (run.spec.data.source, run.spec.data.source.split("-v")[0])
        return source in versions and world in ("", str(run.spec.data.seed))

    return run.spec.data.source in (name, Path(name).resolve().name)


def _spells(value: object, text: str) -> bool:
    """Whether a knob's value is what this text means after `--set`."""
    if isinstance(value, bool):
        return text.lower() in (("on", "true", "1", "yes") if value else ("off", "false", "0", "no"))
    if isinstance(value, int | float):
        return text in (str(value), json.dumps(value)) or _as_number(text) == value
    return text == str(value)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
