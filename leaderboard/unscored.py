"""Runs on a split without targets: they stand in no table of scores, and a report names them."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.leaderboard.rows import natural_order

from rpobench.scoring.locations import name_rows
from rpobench.store.stored_run import StoredRun

UNSCORED_HEADS = ("method", "task", "split", "n", "failed", "run")


def list_unscored(runs: Sequence[StoredRun]) -> list[list[str]]:
    """List the unscored runs among some.

    Args:
        runs: Finished runs.

    Returns:
        The cells of `UNSCORED_HEADS` of each, by task and row.
    """
    names = name_rows(runs)

    rows = []
    for run in runs:
        if not run.is_scored:
            label = names[run.name] if run.has_own_profiles else f"{names[run.name]} (swapped)"
            counts = [str(run.result.n), str(run.result.failed)]
            rows.append([label, run.task_name, run.spec.data.split, *counts, run.name])
    return sorted(rows, key=lambda row: (natural_order(row[1]), row[0]))
