"""What stands in a table's cells: values, intervals, gains, tests against a chosen row, ranks, normalized scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from rpobench.leaderboard.certainty import TaskCertainty, compute_certainty
from rpobench.leaderboard.pairing import compare_rows, gain_interval, stack_runs
from rpobench.leaderboard.rows import Cell, Section, count_unanswered, improvement
from scipy.stats import rankdata

from rpobench.scoring.stats import Comparison, Interval, holm, interval
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class CellStats:
    """The figures of one cell.

    Attributes:
        values: Every metric's mean over seeds.
        strict: The same of the model's texts as they are, before an answer is read from them.
        intervals: 95% intervals by metric; None for results of schema 1, which keep no measures.
        gain: The personalization gain, positive where the own profile helps. None where it is not known, as where a
            model left examples without answer.
        gain_interval: Its 95% interval.
        normalized: The main metric where 0 is the best generic answers' and 1 the oracle's; None without these two.
        versus: The comparison with the chosen row.
        p_holm: Its p-value, adjusted over the tasks; nan without a comparison.
    """

    values: Mapping[str, float]
    strict: Mapping[str, float]
    intervals: Mapping[str, Interval | None]
    gain: float | None
    gain_interval: Interval | None
    normalized: float | None
    versus: Comparison | None = None
    p_holm: float = math.nan


@dataclass(frozen=True)
class Sheet:
    """A section with the figures of all its cells.

    Attributes:
        section: The section.
        cells: The figures by row label, then by task.
        against: The row that others are compared with, if it stands here.
        ranks: Each row's average rank in the main metrics; None for rows with gaps.
        certainty: What the users of each task can tell.
    """

    section: Section
    cells: Mapping[str, Mapping[str, CellStats]]
    against: str | None
    ranks: Mapping[str, float | None]
    certainty: Mapping[str, TaskCertainty]

    def average_group(self, label: str) -> float | None:
        """The average tie group of a row over the tasks; None where it has none on one of them."""
        groups = [certainty.groups.get(label) for certainty in self.certainty.values()]
        numbers = [group for group in groups if group is not None]
        return fmean(numbers) if len(numbers) == len(groups) > 0 else None


def compute_sheets(sections: Sequence[Section], against: str | None = None) -> list[Sheet]:
    """Compute the figures of every section.

    Args:
        sections: What `group_runs` returned.
        against: A row's label or its method: the row that all others are tested against.

    Returns:
        A sheet for each section.

    Raises:
        RpobenchError: No row is called `against`, or several are.
    """
    sheets = []
    for section in sections:
        chosen_label = _chosen_label(section, against)
        cells = {label: _row_stats(section, row, chosen_label) for label, row in section.cells.items()}
        sheets.append(Sheet(section, cells, chosen_label, _average_ranks(section), compute_certainty(section)))

    if against and not any(sheet.against for sheet in sheets):
        labels = sorted(set(chain.from_iterable(section.cells for section in sections)))
        raise RpobenchError(f"--against {against}: no such row, choose one of {', '.join(labels)}")

    return sheets


def normalize(run: StoredRun, value: float) -> float | None:
    """Put a value of the main metric on a scale of two fixed points of the data.

    Args:
        run: Any run of the cell.
        value: The value.

    Returns:
        0 for the best generic answers' value, 1 for the oracle's. None where the data has not both, or both are equal.
    """
    generic = run.reference("best_generic", run.main_metric)
    oracle = run.reference("oracle", run.main_metric)
    if generic is None or oracle is None or generic == oracle:
        return None

    return float((value - generic) / (oracle - generic))


def _chosen_label(section: Section, against: str | None) -> str | None:
    """The label of the row that `--against` means in this section; None where there is none."""
    if against is None or against in section.cells:
        return against

    labels = [label for label, row in section.cells.items() if _method_of(row) == against]
    if len(labels) > 1:
        raise RpobenchError(f"--against {against}: several rows, choose one of {', '.join(labels)}")

    return labels[0] if labels else None


def _method_of(row: Mapping[str, Cell]) -> str:
    return next(iter(row.values())).sample.spec.method


def _row_stats(section: Section, row: Mapping[str, Cell], against: str | None) -> dict[str, CellStats]:
    """The figures of a row's cells by task; p-values are adjusted over these tasks."""
    comparisons = {task: _compare_with(section, cell, task, against) for task, cell in row.items()}
    adjusted = holm([comparison.p if comparison else math.nan for comparison in comparisons.values()])

    stats = {}
    for (task, cell), p_holm in zip(row.items(), adjusted, strict=True):
        stats[task] = _cell_stats(cell, comparisons[task], p_holm)

    return stats


def _compare_with(section: Section, cell: Cell, task: str, against: str | None) -> Comparison | None:
    """The cell against the chosen row's on the same task; None where there is nothing fair to compare."""
    rival = section.cells[against].get(task) if against else None
    if rival is None or rival is cell or count_unanswered([*cell.runs, *rival.runs]):
        return None

    return compare_rows(cell.own_runs, rival.own_runs, cell.sample.main_metric)


def _cell_stats(cell: Cell, comparison: Comparison | None, p_holm: float) -> CellStats:
    sample = cell.sample
    intervals: dict[str, Interval | None] = dict.fromkeys(sample.metric_names)
    stacked = stack_runs(cell.runs)
    if stacked:
        for metric in sample.metric_names:
            limits = stacked.any_run.task.metric_limits(metric)
            intervals[metric] = interval(stacked.metric(metric), stacked.sums, limits=limits)

    return CellStats(
        values={metric: cell.value(metric) for metric in sample.metric_names},
        strict={metric: cell.strict_value(metric) for metric in sample.metric_names},
        intervals=intervals,
        gain=cell.gain(),
        gain_interval=None if cell.unanswered else gain_interval(cell),
        normalized=normalize(sample, cell.value(sample.main_metric)),
        versus=comparison,
        p_holm=p_holm,
    )


def _average_ranks(section: Section) -> dict[str, float | None]:
    """Rank in the main metric by row, 1 is best and ties share, averaged over tasks; None for rows with gaps."""
    ranks_by_label: dict[str, list[float]] = {label: [] for label in section.cells}
    for task in section.tasks:
        sample = section.sample(task)
        metric = sample.main_metric
        losses = {}
        for label, row in section.cells.items():
            if task in row:
                losses[label] = -improvement(sample, metric, row[task].value(metric))

        for label, rank in zip(losses, rankdata(list(losses.values())), strict=True):
            ranks_by_label[label].append(float(rank))

    average_ranks: dict[str, float | None] = {}
    for label, ranks in ranks_by_label.items():
        average_ranks[label] = fmean(ranks) if len(ranks) == len(section.tasks) else None
    return average_ranks
