"""What a cell's answers cost, and how many of its examples it helped or harmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rpobench.leaderboard.rows import Cell

from rpobench.store.stored_run import StoredRun

Cost = Literal["tokens", "seconds", "dollars"]
COSTS: dict[Cost, str] = {
    "tokens": "tokens an example",
    "seconds": "seconds an example",
    "dollars": "dollars an example",
}

EQUAL = 1e-12  # scores that differ by no more are equal


@dataclass(frozen=True)
class ChangedShares:
    """Shares of examples that score above (`helped`) and below (`harmed`) the base model's draft, in [0, 1]."""

    helped: float
    harmed: float


def mean_over_seeds(cell: Cell, value_of: Callable[[StoredRun], float | None]) -> float | None:
    """Average a value over a cell's runs with own profiles, one a seed.

    Args:
        cell: The cell.
        value_of: Reads the value of one run; None where the run does not know it.

    Returns:
        The mean. None where a run does not know the value, and where the examples were answered elsewhere.
    """
    values = []
    for run in cell.runs:
        value = value_of(run)
        if run.result.imported or value is None:
            return None
        values.append(value)

    return sum(values) / len(values)


def cost_per_example(cell: Cell, cost: Cost) -> float | None:
    """What one example cost, the mean over seeds; None where nobody knows."""

    def value_of(run: StoredRun) -> float | None:
        usage = run.result.usage
        totals: dict[Cost, float | None] = {
            "tokens": usage.prompt_tokens + usage.completion_tokens,
            "seconds": run.result.seconds,
            "dollars": usage.dollars,
        }
        total = totals[cost]
        return None if total is None else total / run.result.n

    return mean_over_seeds(cell, value_of)


def helped_and_harmed(cell: Cell) -> ChangedShares | None:
    """How many examples the method helped and harmed; None where not every example has a draft."""
    changes = []
    for run in cell.runs:
        for example_id, example in (run.result.examples or {}).items():
            if "draft" not in example.references:
                return None
            changes.append(run.result.scores[example_id] - example.references["draft"])

    if not changes:
        return None

    helped = sum(change > EQUAL for change in changes)
    harmed = sum(change < -EQUAL for change in changes)

    return ChangedShares(helped / len(changes), harmed / len(changes))
