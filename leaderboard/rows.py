"""Finished runs as rows and columns: which runs make one row, and which may stand in one table.

Runs stand in one column only where they answered the same questions: same data, split, prompts and base model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean

from rpobench.scoring.locations import group_by_location
from rpobench.scoring.row_labels import label_runs
from rpobench.store.origin import DataOrigin
from rpobench.store.spec import DataSpec
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError


@dataclass
class Cell:
    """One method on one task.

    Attributes:
        own_runs: Its runs with the users' own profiles, by seed.
        swapped_runs: Its runs with swapped profiles, by seed.
    """

    own_runs: dict[int, StoredRun] = field(default_factory=dict)
    swapped_runs: dict[int, StoredRun] = field(default_factory=dict)

    @property
    def sample(self) -> StoredRun:
        """Any run with own profiles: all have the same task, data and method."""
        return next(iter(self.own_runs.values()))

    @property
    def runs(self) -> list[StoredRun]:
        """The runs with own profiles, one a seed."""
        return list(self.own_runs.values())

    @property
    def unanswered(self) -> int:
        """Examples, own and swapped, that a model gave no answer to; they count as wrong."""
        return count_unanswered([*self.own_runs.values(), *self.swapped_runs.values()])

    def value(self, metric: str) -> float:
        """The metric's mean over seeds."""
        return fmean(run.result.metrics[metric] for run in self.runs)

    def strict_value(self, metric: str) -> float:
        """The same of the model's texts as they are, before an answer is read from them."""
        return fmean(run.result.strict[metric] for run in self.runs)

    def gain(self) -> float | None:
        """The personalization gain in the main metric: own minus swapped profiles, positive is better.

        Returns:
            The mean over seeds that have both runs. None where there is no such seed, and where a model left examples
            of either without answer: it would measure the model's refusals.
        """
        seeds = self.own_runs.keys() & self.swapped_runs.keys()
        if not seeds or self.unanswered:
            return None

        metric = self.sample.main_metric
        changes = []
        for seed in seeds:
            own_metrics, swapped_metrics = self.own_runs[seed].result.metrics, self.swapped_runs[seed].result.metrics
            changes.append(own_metrics[metric] - swapped_metrics[metric])

        return improvement(self.sample, metric, fmean(changes))


@dataclass
class Section:
    """Runs that may stand in one table.

    Attributes:
        data: The data of any of them.
        base_model: Its identity.
        synthetic: Whether the data is made up.
        cells: The cells by row label, then by task.
    """

    data: DataSpec
    base_model: str
    synthetic: bool
    cells: dict[str, dict[str, Cell]]

    @property
    def tasks(self) -> list[str]:
        """The tasks of all rows, LaMP-2 before LaMP-10."""
        return sorted(set(chain.from_iterable(self.cells.values())), key=natural_order)

    def sample(self, task: str) -> StoredRun:
        """Any run on this task: all have the same data and prompts."""
        return next(row[task].sample for row in self.cells.values() if task in row)

    def origin(self, task: str) -> DataOrigin | None:
        """Where a task's data comes from; None where no run knows it."""
        origins = (row[task].sample.result.origin for row in self.cells.values() if task in row)
        return next((origin for origin in origins if origin is not None), None)

    def reference(self, name: str, task: str, metric: str) -> float | None:
        """The metric of a reference of this task's data; None where no run knows it, as of an earlier version."""
        values = (row[task].sample.reference(name, metric) for row in self.cells.values() if task in row)
        return next((value for value in values if value is not None), None)


def group_runs(runs: Sequence[StoredRun]) -> list[Section]:
    """Sort finished runs into sections, each of which is one table.

    Args:
        runs: Runs of any methods, tasks and data.

    Returns:
        The sections that hold a run with own profiles. They are apart where data set (of a made-up world its seed and
        size), split, limit, task version, hashes or base model differ.

    Raises:
        RpobenchError: Two runs would stand in one cell.
    """
    runs_by_location = group_by_location(runs)
    locations = sorted(runs_by_location, key=lambda location: str((*location.heading, location.variant)))

    sections = []
    for location in locations:
        group = runs_by_location[location]
        if any(run.has_own_profiles for run in group):
            sections.append(_section(group))
    return sections


def _section(runs: Sequence[StoredRun]) -> Section:
    """Runs of one location as rows; a cell without a run with own profiles is left out."""
    cells: dict[str, dict[str, Cell]] = {}
    for run, label in zip(runs, label_runs(runs), strict=True):
        cell = cells.setdefault(label, {}).setdefault(run.task_name, Cell())
        runs_by_seed = cell.own_runs if run.has_own_profiles else cell.swapped_runs

        seed = run.spec.seed
        if seed in runs_by_seed:
            folders = f"{runs_by_seed[seed].folder} and {run.folder}"
            raise RpobenchError(f"{folders} are both {label} of {run.task_name}, seed {seed}: move one away")
        runs_by_seed[seed] = run

    rows = {}
    for label in sorted(cells):
        row = {task: cell for task, cell in cells[label].items() if cell.own_runs}
        if row:
            rows[label] = row

    return Section(runs[0].spec.data, runs[0].spec.base_model, runs[0].result.synthetic, rows)


def improvement(run: StoredRun, metric: str, change: float) -> float:
    """A difference of two values of a metric, turned so that positive is better."""
    return change if run.higher_is_better(metric) else 0.0 - change  # no -0.0


def count_unanswered(runs: Iterable[StoredRun]) -> int:
    """How many examples of these runs a model gave no answer to."""
    return sum(run.result.unanswered for run in runs)


def natural_order(name: str) -> list[tuple[int, str]]:
    """A sort key that puts LaMP-2 before LaMP-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
