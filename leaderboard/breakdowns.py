"""The same metrics for parts of the examples: by size of the profile (cold start), by expected label, by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rpobench.leaderboard.rows import Result, natural, task_of

from rpobench.registry import get_task
from rpobench.scoring.by_user import by_user

KINDS = ("profile", "label", "user")
SIZES = (0, 4, 16, 64, 256)  # bounds of the classes of profile sizes, in items


@dataclass(frozen=True)
class Group:
    """Some examples of a cell: their metrics (means over seeds), number, and users."""

    name: str
    metrics: Mapping[str, float]
    n: int
    users: int


def groups(runs: Sequence[Result], by: str) -> list[Group]:
    """The groups of one cell's runs, one a seed, in natural order; none for results of schema 1, for those of
    another version of the task, and for texts by label."""
    if any("examples" not in run or by_user(run) is None for run in runs):
        return []
    members: dict[str, set[str]] = {}
    for key, example in runs[0]["examples"].items():
        name = _name(runs[0], example, by)
        if name is not None:
            members.setdefault(name, set()).add(key)
    return [_group(runs, name, members[name], by) for name in sorted(members, key=natural)]


def size_class(items: int) -> str:
    """The class of profile sizes that this number of items falls into."""
    if items == 0:
        return "0 items"
    lower = max(bound for bound in SIZES if bound < items)
    above = [bound for bound in SIZES if bound > lower]
    return f"{lower + 1}-{above[0]} items" if above else f"{lower + 1}+ items"


def _name(run: Result, example: Mapping[str, Any], by: str) -> str | None:
    if by == "user":
        return str(example["user"])
    if by == "profile":
        return size_class(example["profile_items"])
    return get_task(task_of(run)).expected_label(example["measures"])


def _group(runs: Sequence[Result], name: str, members: set[str], by: str) -> Group:
    """By label only the main metric: macro-F1 over all labels means nothing where one is expected."""
    names = [runs[0]["main_metric"]] if by == "label" else list(runs[0]["directions"])
    summed = [found for run in runs if (found := by_user(run, only=members)) is not None]
    metrics = {metric: fmean(float(one.metric(metric)(one.sums.sum(axis=0))) for one in summed) for metric in names}
    return Group(name, metrics, len(members), len(summed[0].users))
