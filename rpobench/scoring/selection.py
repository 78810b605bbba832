"""Which runs a command is of: folders, filters, and the names that reports print."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpobench.registry import suggest_names
from rpobench.scoring.locations import name_rows
from rpobench.store.origin import COMMONS
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import RunSpec
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


class NothingSelected(RpobenchError):
    """A filter leaves nothing."""


@dataclass(frozen=True)
class Candidate:
    """What filters ask of a run; it need not be finished.

    Attributes:
        name: Its name.
        spec: What describes it.
        row: What its row is called.
        label: Its label; None where it has none.
        is_synthetic: Whether its data is made up.
    """

    name: str
    spec: RunSpec
    row: str
    label: str | None
    is_synthetic: bool


@dataclass(frozen=True)
class RunFilter:
    """Which of the runs in a folder are meant. What is empty or None leaves all.

    Attributes:
        method: Names of methods, or of rows as reports print them.
        task: Names of tasks.
        base_model: Base models as they are typed, or their identities as reports print them.
        settings: Values of knobs, as `--set` takes them.
        label: Labels.
        data: Data sets as tables name them, worlds or draws of them (`synth-v1:11`, `lamp:1`), or the paths of
            official folders.
        seed: Seeds.
        split: The split.
        limit: The limit, 0 for runs without one.
    """

    method: Sequence[str] = ()
    task: Sequence[str] = ()
    base_model: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    label: Sequence[str] = ()
    data: Sequence[str] = ()
    seed: Sequence[str] = ()
    split: str | None = None
    limit: int | None = None

    def select(self, runs: Sequence[StoredRun]) -> list[StoredRun]:
        """Leave the runs that every option admits.

        Args:
            runs: Finished runs.

        Returns:
            Some of them, at least one, in their order.

        Raises:
            NothingSelected: As `select_candidates`.
        """
        rows = name_rows(runs)
        candidates = [describe_candidate(run, rows[run.name]) for run in runs]
        names = {candidate.name for candidate in self.select_candidates(candidates)}

        return [run for run in runs if run.name in names]

    def select_candidates(self, candidates: Sequence[Candidate], what: str = "finished run") -> list[Candidate]:
        """Leave the candidates that every option admits.

        Args:
            candidates: What may be meant.
            what: What they are called in errors.

        Returns:
            Some of them, at least one, in their order.

        Raises:
            NothingSelected: An option admits no candidate that the others left; the text names it, and what there is.
        """
        selected = list(candidates)

        for option, values, admits, names_of in self._list_tests():
            for value in values:
                if not any(admits(candidate, value) for candidate in selected):
                    names = sorted({name for candidate in selected for name in names_of(candidate)})
                    raise NothingSelected(f"{option} {value}: no {what} here; {suggest_names(value, names)}")
            if values:
                selected = [candidate for candidate in selected if any(admits(candidate, value) for value in values)]

        return self._select_by_settings(selected, what)

    def _list_tests(self) -> list[_Test]:
        """Each option with its values, whether a candidate has one of them, and what else there is to name."""
        limit = [] if self.limit is None else [str(self.limit)]
        split = [] if self.split is None else [self.split]

        return [
            ("--method", self.method, lambda run, name: name in _methods_of(run), _methods_of),
            ("--task", self.task, lambda run, task: task in (*_tasks_of(run), run.spec.task), _tasks_of),
            ("--base-model", self.base_model, _has_base_model, lambda run: [run.spec.base_model]),
            ("--label", self.label, lambda run, label: label in _labels_of(run), _labels_of),
            ("--data", self.data, _has_data, lambda run: [run.spec.data.source, _world_of(run)]),
            ("--seed", self.seed, lambda run, seed: seed == str(run.spec.seed), lambda run: [str(run.spec.seed)]),
            ("--split", split, lambda run, name: name == run.spec.data.split, lambda run: [run.spec.data.split]),
            ("--limit", limit, lambda run, number: number == _limit_of(run), lambda run: [_limit_of(run)]),
        ]

    def _select_by_settings(self, candidates: Sequence[Candidate], what: str) -> list[Candidate]:
        selected = list(candidates)
        for knob, value in self.settings.items():
            configs = [(candidate, candidate.spec.config) for candidate in selected]
            selected = [candidate for candidate, config in configs if knob in config and _spells(config[knob], value)]
            if not selected:
                raise NothingSelected(f"--set {knob}={value}: no {what} here has it; leave it out")
        return selected


_Test = tuple[str, Sequence[str], Callable[[Candidate, str], bool], Callable[[Candidate], Sequence[str]]]


def describe_candidate(run: StoredRun, row: str) -> Candidate:
    """Describe a finished run for a filter.

    Args:
        run: The run.
        row: What its row is called.
    """
    return Candidate(run.name, run.spec, row, run.environment.label, run.result.synthetic)


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


def _methods_of(run: Candidate) -> Sequence[str]:
    return [run.spec.method, run.row]


def _tasks_of(run: Candidate) -> Sequence[str]:
    return [run.spec.task.split("@")[0]]


def _labels_of(run: Candidate) -> Sequence[str]:
    return [run.label] if run.label else []


def _world_of(run: Candidate) -> str:
    data = run.spec.data
    return f"{data.source}:{data.seed}" if run.is_synthetic or data.sample else data.source


def _limit_of(run: Candidate) -> str:
    return str(run.spec.data.limit or 0)


def _has_base_model(run: Candidate, name: str) -> bool:
    """Whether this is the base model's identity, or what stands before its revision and options."""
    identity = run.spec.base_model
    return identity == name or (identity.startswith(name) and identity[len(name)].startswith(MODEL_SEPARATORS))


def _has_data(run: Candidate, name: str) -> bool:
    """Whether this names the run's data: a source, one of its worlds or draws, `synth` for any version, or a path."""
    source, _, world = name.partition(":")
    if run.is_synthetic:
        versions = (run.spec.data.source, run.spec.data.source.split("-v")[0])
        return source in versions and world in ("", str(run.spec.data.seed))

    data = run.spec.data
    if data.sample and world == str(data.seed) and data.source == source:
        return True
    return data.source in (name, Path(name.removeprefix(COMMONS)).resolve().name)


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
