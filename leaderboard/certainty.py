"""What the users of a table can tell: which rows are level with each other, and how small a difference would show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rpobench.leaderboard.pairing import compare_rows
from rpobench.leaderboard.rows import Cell, Section, count_unanswered, improvement

from rpobench.registry import get_method
from rpobench.scoring.stats import ALPHA, Comparison, holm
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class TaskCertainty:
    """What the users of one task can tell.

    Attributes:
        groups: The tie group of each row in the main metric, 1 for those level with the best; only of rows that could
            be tested.
        smallest: By metric the smallest true difference that would show, the median over the comparisons of the best
            row with the others; only of metrics with such comparisons.
    """

    groups: Mapping[str, int]
    smallest: Mapping[str, float]


def compute_certainty(section: Section) -> dict[str, TaskCertainty]:
    """Compute for each task of a section what its users can tell."""
    certainty = {}
    for task in section.tasks:
        cells = {}
        for label, row in section.cells.items():
            if task in row and not count_unanswered(row[task].runs):
                cells[label] = row[task]

        sample = section.sample(task)
        smallest = {}
        for metric in sample.metric_names:
            detectable = _smallest_difference(cells, metric)
            if detectable is not None:
                smallest[metric] = detectable
        certainty[task] = TaskCertainty(_tie_groups(cells, sample.main_metric), smallest)

    return certainty


def median_detectable(comparisons: Sequence[Comparison]) -> float | None:
    """The median of the smallest differences that comparisons would show; None where none of them says."""
    detectable = [comparison.detectable for comparison in comparisons if not math.isnan(comparison.detectable)]
    return median(detectable) if detectable else None


def rests_on_one_trained_seed(cell: Cell) -> bool:
    """Whether another training seed could give another number, and nobody tried one."""
    spec = cell.sample.spec
    return len(cell.own_runs) == 1 and spec.fit is not None and not _only_counts(spec.method)


def _only_counts(method: str) -> bool:
    """Whether a method's fit trains no parameters; False for methods that are not installed here."""
    try:
        return get_method(method).only_counts
    except RpobenchError:
        return False


def _rank_labels(cells: Mapping[str, Cell], metric: str) -> list[str]:
    """The labels, best value first."""
    return sorted(cells, key=lambda label: -improvement(cells[label].sample, metric, cells[label].value(metric)))


def _smallest_difference(cells: Mapping[str, Cell], metric: str) -> float | None:
    """The median detectable difference of the best row against each of the others."""
    best, *others = _rank_labels(cells, metric) or [""]
    comparisons = [compare_rows(cells[best].own_runs, cells[other].own_runs, metric) for other in others]

    return median_detectable([comparison for comparison in comparisons if comparison is not None])


def _tie_groups(cells: Mapping[str, Cell], metric: str) -> dict[str, int]:
    """Number groups of neighbours in the ranking.

    The best row leads the first group. The first row below it that differs from it (p adjusted by Holm over all rows
    below the leader) leads the next group, and so on.
    """
    groups: dict[str, int] = {}
    remaining = _rank_labels(cells, metric)
    while remaining:
        leader, *others = remaining
        comparisons = [compare_rows(cells[leader].own_runs, cells[other].own_runs, metric) for other in others]
        adjusted = holm([comparison.p if comparison else math.nan for comparison in comparisons])

        size = 1 + next((index for index, p in enumerate(adjusted) if p <= ALPHA), len(others))
        number = max(groups.values(), default=0) + 1
        tested = {other for other, p in zip(others, adjusted, strict=True) if not math.isnan(p)}
        for label in remaining[:size]:
            if label in tested or (label == leader and (tested or groups)):
                groups[label] = number
        remaining = remaining[size:]

    return groups
