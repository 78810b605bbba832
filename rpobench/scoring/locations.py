"""Where runs stand in tables: those of one location answered the same questions, and their rows have names there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rpobench.scoring.row_labels import label_runs
from rpobench.store.identity import comparable_identity
from rpobench.store.stored_run import StoredRun


@dataclass(frozen=True)
class Location:
    """Where a run stands.

    Attributes:
        heading: What the runs of a section have in common.
        variant: Which version, data and prompts of its task it answered, as a number.
    """

    heading: tuple[Any, ...]
    variant: int


def group_by_location(runs: Sequence[StoredRun]) -> dict[Location, list[StoredRun]]:
    """Sort runs by where they stand.

    Args:
        runs: Runs of any methods, tasks and data.

    Returns:
        The runs of each location, which answered the same questions.
    """
    runs_by_location: dict[Location, list[StoredRun]] = {}
    for run, location in zip(runs, _locate(runs), strict=True):
        runs_by_location.setdefault(location, []).append(run)

    return runs_by_location


def name_rows(runs: Sequence[StoredRun]) -> dict[str, str]:
    """Name the row of each run as a report of these runs prints it.

    Args:
        runs: Runs of any methods, tasks and data.

    Returns:
        The name of the row by the name of the run.
    """
    names: dict[str, str] = {}
    for group in group_by_location(runs).values():
        names |= {run.name: label for run, label in zip(group, label_runs(group), strict=True)}
    return names


def _locate(runs: Sequence[StoredRun]) -> list[Location]:
    """The place of each run. A task's second version, data or prompt hash goes to a second section, and so on."""
    locations: list[Location] = []
    source_names = _name_sources(runs)
    models: dict[str, str] = {}  # the first identity of each model, by what other versions call it too
    variants: dict[tuple[Any, ...], list[tuple[str, str, str]]] = {}
    for run in runs:
        data = run.spec.data
        # A made-up world is one by its seed and size; in a folder the tasks have sizes of their own.
        world = (data.seed, run.result.n) if run.result.synthetic else ()
        draw = (data.users, data.seed) if data.users or (data.sample and data.seed) else ()
        base_model = models.setdefault(comparable_identity(run.spec.base_model), run.spec.base_model)
        heading = (source_names[data.source], data.split, data.holdout, data.limit, *world, *draw, base_model)

        known_variants = variants.setdefault((*heading, run.task_name), [])
        variant = (run.spec.task, data.sha256, run.environment.comparable_prompts)
        if variant not in known_variants:
            known_variants.append(variant)
        locations.append(Location(heading, known_variants.index(variant)))

    return locations


def _name_sources(runs: Sequence[StoredRun]) -> dict[str, str]:
    """What to call each source: two folders with the same examples of a task are one, called as the first of them."""
    first_by_content: dict[str, str] = {}
    names: dict[str, str] = {}
    for data in (run.spec.data for run in runs):
        first = first_by_content.setdefault(data.sha256, data.source) if data.by_content else data.source
        if data.source not in names or first != data.source:
            names[data.source] = names.get(first, first)

    return names
