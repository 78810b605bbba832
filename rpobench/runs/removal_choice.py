"""Which runs and fits `rpobench rm` is to remove: by names or by filters, finished or not, each with its control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.data.official.folder import is_world_name
from rpobench.runs.environment import ENVIRONMENT
from rpobench.runs.uses import Reader, list_readers
from rpobench.scoring.locations import name_rows
from rpobench.scoring.selection import Candidate, NothingSelected, RunFilter, describe_candidate
from rpobench.store.files import read_json
from rpobench.store.identity import comparable_identity
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_run_spec
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.types import RpobenchError

RUN_FILES = ("spec.json", "result.json", "predictions.jsonl", ENVIRONMENT)  # what stands in the folder of a run


@dataclass(frozen=True)
class Choice:
    """What is to be removed, before anybody looked at what else only it uses.

    Attributes:
        runs: Names of runs that have a folder of their own, also where only `--again` has begun one.
        fits: Folders of fits that no run stands on, under the folder of runs.
        methods: Methods that go as a whole: also what was learned of users and no run stands on any more.
        packed: Names of packed runs that are meant too; they stay.
    """

    runs: Sequence[str] = ()
    fits: Sequence[str] = ()
    methods: Sequence[str] = ()
    packed: Sequence[str] = ()


def choose_by_names(store: ResultStore, names: Sequence[str]) -> Choice:
    """Choose runs by their names, each with its control.

    Args:
        store: The folder of runs.
        names: Each a run's name or folder, a row or label as reports print it, or a part of a name that is enough.

    Raises:
        RpobenchError: A name means no run or several, or a packed run.
    """
    chosen: dict[str, None] = {}
    for name in names:
        chosen |= dict.fromkeys(_find_called(store, name))

    refuse_packed(store, [name for name in chosen if store.is_packed(name)])
    runs = _add_controls(store, list(chosen))
    return Choice(runs, packed=[name for name in runs if name in store.packed.runs])


def refuse_packed(store: ResultStore, names: Sequence[str]) -> None:
    """Refuse to remove packed runs: a packed set is one whole, and often committed.

    Args:
        store: The folder of runs.
        names: The names of the packed runs that are meant; nothing happens where there is none.

    Raises:
        RpobenchError: There is one.
    """
    if names:
        raise RpobenchError(
            f"{store.root}: {names[0]} is in a packed set, which rm never changes: to have a set without it, pack the "
            f"others with `rpobench pack RUN... --runs {store.root} --out DIR`"
        )


def choose_by_filter(store: ResultStore, run_filter: RunFilter) -> Choice:
    """Choose every run that a filter admits, each with its control, and the fits of its methods that no run stands on.

    Args:
        store: The folder of runs.
        run_filter: The filter.

    Raises:
        NothingSelected: It leaves nothing.
        RpobenchError: A run is damaged; the text names the file.
    """
    runs = list(_describe_runs(store))
    lone_fits = list(_describe_lone_fits(store)) if run_filter.method else []
    if not runs and not lone_fits:
        raise NothingSelected(f"{store.root}: no run here")

    admitted = run_filter.select_candidates([*runs, *lone_fits], "run")
    run_names = {candidate.name for candidate in runs}
    names = sorted(candidate.name for candidate in admitted if candidate.name in run_names)
    fits = _list_whole_fits([candidate for candidate in admitted if candidate.name not in run_names], lone_fits)
    if not names and not fits:
        raise NothingSelected(f"{store.root}: no run here, and {admitted[0].name} is of other tasks too: name them all")

    is_narrowed = sum(bool(value) for value in vars(run_filter).values()) > 1
    return Choice(
        runs=_add_controls(store, [name for name in names if not store.is_packed(name)]),
        fits=fits,
        methods=() if is_narrowed else run_filter.method,
        packed=[name for name in names if name in store.packed.runs],
    )


def list_run_folders(store: ResultStore) -> dict[str, Path]:
    """List the runs that have a folder, finished or not, damaged or not, by name.

    Args:
        store: The folder of runs.

    Returns:
        The folders; of a run that only `--again` has begun the one there.
    """
    folders: dict[str, Path] = {}
    for root in (store.workshop.root, store.root):
        for folder in sorted(root.glob("*/")):
            if any((folder / file).is_file() for file in RUN_FILES):
                folders[folder.name] = folder
    return folders


def _find_called(store: ResultStore, name: str) -> Sequence[str]:
    """The runs that one name means: the run of just this name, else the row, else the run with this in its name."""
    folders = list_run_folders(store)
    path = Path(name).absolute()
    exact = [run_name for run_name in folders if name == run_name or path == (store.root / run_name).absolute()]
    if exact:
        return exact

    finished_runs = store.find_runs()
    rows = name_rows(finished_runs)
    of_row = [run.name for run in finished_runs if name in (rows[run.name], run.environment.label)]
    if of_row:
        return of_row

    if any(name == run.spec.method for run in finished_runs):
        raise RpobenchError(
            f"{store.root}: {name} is no run and no row but a method: --method {name} means all its runs"
        )
    with_part = [run_name for run_name in folders if name and name in run_name]
    return with_part if len(with_part) == 1 else [store.find_folder(name).name]


def _describe_runs(store: ResultStore) -> Iterator[Candidate]:
    """Every run, finished or not, packed or not, as filters see it."""
    finished_runs = store.find_runs()
    rows = name_rows(finished_runs)
    for run in finished_runs:
        yield describe_candidate(run, rows[run.name])

    for name, folder in list_run_folders(store).items():
        if name not in rows:
            spec, label = read_run_spec(folder / "spec.json"), _read_label(folder)
            yield Candidate(name, spec, label or spec.method, label, is_world_name(spec.data.source))


def _read_label(folder: Path) -> str | None:
    file = folder / ENVIRONMENT
    label = read_json(file).get("label") if file.exists() else None
    return str(label) if label else None


def _describe_lone_fits(store: ResultStore) -> Iterator[Candidate]:
    """Every fit that no run stands on: a candidate for each task that it was trained on."""
    readers = list_readers(store)
    for reader in readers:
        is_used = any(other.uses(reader.path) for other in readers)
        if isinstance(reader.spec, FitSpec) and not is_used:
            yield from _describe_fit(reader, reader.spec)


def _describe_fit(reader: Reader, spec: FitSpec) -> Iterator[Candidate]:
    shared_fields = spec.model_dump(exclude={"train_tasks", "data"})
    for task, data in zip(spec.train_tasks, spec.data, strict=True):
        task_spec = RunSpec(**shared_fields, task=task, data=data)
        yield Candidate(reader.path, task_spec, spec.method, None, is_world_name(data.source))


def _list_whole_fits(admitted: Sequence[Candidate], lone_fits: Sequence[Candidate]) -> list[str]:
    """The fits of which every task is admitted."""
    task_counts = Counter(candidate.name for candidate in lone_fits)
    admitted_counts = Counter(candidate.name for candidate in admitted)

    return sorted(name for name, count in admitted_counts.items() if count == task_counts[name])


def _add_controls(store: ResultStore, names: Sequence[str]) -> list[str]:
    """The runs with their controls: those with swapped profiles that are the same in everything else."""
    folders = list_run_folders(store)
    chosen_specs = [spec for spec in (read_spec_unless_damaged(folders[name]) for name in names) if spec is not None]

    controls = []
    for name, folder in folders.items():
        if "-swapped-" in name and name not in names:
            spec = read_run_spec(folder / "spec.json")
            if any(_is_control(spec, chosen_spec) for chosen_spec in chosen_specs):
                controls.append(name)
    return [*names, *controls]


def read_spec_unless_damaged(folder: Path) -> RunSpec | None:
    """Read the spec of a run; None where it cannot be read, so that nobody knows what the run uses.

    Args:
        folder: The folder of the run.
    """
    try:
        return read_run_spec(folder / "spec.json")
    except RpobenchError:
        return None


def _is_control(spec: RunSpec, own_spec: RunSpec) -> bool:
    """Whether a run is the control of another one. Either may be of an older version, which knew fewer knobs."""
    if (spec.profiles, own_spec.profiles) != ("swapped", "own"):
        return False

    knobs, own_knobs = _list_comparable_knobs(spec), _list_comparable_knobs(own_spec)
    common_names = knobs.keys() & own_knobs.keys()
    return _identify(spec) == _identify(own_spec) and all(knobs[name] == own_knobs[name] for name in common_names)


def _identify(spec: RunSpec) -> tuple[Any, ...]:
    """What a run and its control have in common, beside knobs: nothing that is only what a folder is called."""
    models = {role: comparable_identity(identity) for role, identity in spec.models.items()}
    data = spec.data.model_dump(exclude={"source", "by_content"})
    prompts, base_model = spec.comparable_prompts, comparable_identity(spec.base_model)

    return (spec.method, spec.version, base_model, models, prompts, spec.seed, spec.task, data, spec.fit)


def _list_comparable_knobs(spec: RunSpec) -> dict[str, Any]:
    """The knobs without those that name a model, such as `hf:FOLDER`: its identity stands in `models`."""
    return {name: value for name, value in spec.config.items() if not (isinstance(value, str) and ":" in value)}
