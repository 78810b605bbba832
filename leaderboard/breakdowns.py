"""The same metrics for parts of the examples: by size of the profile (cold start), by expected label, by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from rpobench.leaderboard.rows import natural_order

from rpobench.registry import get_task
from rpobench.scoring.by_user import sum_by_user
from rpobench.store.results import StoredExample
from rpobench.store.stored_run import StoredRun

Kind = Literal["profile", "label", "user"]
KINDS: tuple[Kind, ...] = ("profile", "label", "user")
SIZES = (0, 4, 16, 64, 256)  # bounds of the classes of profile sizes, in items


@dataclass(frozen=True)
class Group:
    """Some examples of a cell.

    Attributes:
        name: What they have in common, as readers see it.
        metrics: Their metrics, means over seeds.
        n: Examples.
        users: Users.
    """

    name: str
    metrics: Mapping[str, float]
    n: int
    users: int


def group_examples(runs: Sequence[StoredRun], kind: Kind) -> list[Group]:
    """Divide a cell's examples into groups.

    Args:
        runs: The cell's runs, one a seed.
        kind: What divides them.

    Returns:
        The groups in natural order. There are none for results of schema 1, for those of another version of the task,
        and for texts by label.
    """
    if any(sum_by_user(run) is None for run in runs):
        return []

    sample = runs[0]
    ids_by_name: dict[str, set[str]] = {}
    for example_id, example in (sample.result.examples or {}).items():
        name = _group_name(sample, example, kind)
        if name is not None:
            ids_by_name.setdefault(name, set()).add(example_id)

    return [_group(runs, name, ids_by_name[name], kind) for name in sorted(ids_by_name, key=natural_order)]


def size_class(items: int) -> str:
    """The class of profile sizes that this number of items falls into, such as `5-16 items`."""
    if items == 0:
        return "0 items"

    lower_bound = max(bound for bound in SIZES if bound < items)
    upper_bounds = [bound for bound in SIZES if bound > lower_bound]

    return f"{lower_bound + 1}-{upper_bounds[0]} items" if upper_bounds else f"{lower_bound + 1}+ items"


def _group_name(run: StoredRun, example: StoredExample, kind: Kind) -> str | None:
    """The name of the group that an example belongs to; None where it belongs to none."""
    if kind == "user":
        return example.user
    if kind == "profile":
        return size_class(example.profile_items)
    return get_task(run.task_name).expected_label(example.measures)


def _group(runs: Sequence[StoredRun], name: str, ids: set[str], kind: Kind) -> Group:
    """A group with its metrics, the mean over seeds.

    By label it has the main metric alone: macro-F1 over all labels means nothing where one label is expected.
    """
    metric_names = [runs[0].main_metric] if kind == "label" else runs[0].metric_names
    sums = []
    for run in runs:
        run_sums = sum_by_user(run, only=ids)
        if run_sums is not None:
            sums.append(run_sums)

    metrics = {}
    for metric in metric_names:
        values = [float(run_sums.metric(metric)(run_sums.sums.sum(axis=0))) for run_sums in sums]
        metrics[metric] = fmean(values)

    return Group(name, metrics, len(ids), len(sums[0].users))
