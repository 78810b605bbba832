"""Modules trained on some base models' drafts, each applied to the drafts of others: a matrix of ordinary runs.

It answers whether what a module learns from one base model's drafts improves those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rpobench.registry import get_method, get_model
from rpobench.runs.benchmark import run
from rpobench.runs.plan import Plan, parse_method_names
from rpobench.runs.summary import RunSummary
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_run_spec
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class TransferCell:
    """A module applied to the drafts of a base model, on one task.

    Attributes:
        trained_on: The base model on whose drafts the module was trained.
        applied_to: The base model whose drafts it rewrote.
        summary: The run.
    """

    trained_on: str
    applied_to: str
    summary: RunSummary

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints: both base models, and what `rpobench run` prints of the run."""
        return {"trained_on": self.trained_on, "applied_to": self.applied_to, **self.summary.to_json()}


def transfer(plan: Plan, train_on: Sequence[str], apply_to: Sequence[str]) -> list[TransferCell]:
    """Train a method on the drafts of some base models, and apply each module to the drafts of others.

    Everything is an ordinary run in the plan's folder, so what is finished there is not done again.

    Args:
        plan: The method, the tasks, and everything else but the base model.
        train_on: The base models on whose drafts a module is trained.
        apply_to: The base models whose drafts are rewritten.

    Returns:
        A cell for each module, base model and task.

    Raises:
        RpobenchError: The plan has not one method that trains, or a base model is unknown.
    """
    method_names = parse_method_names(plan.method)
    if len(method_names) != 1 or not get_method(method_names[0]).trains:
        raise RpobenchError(f"--method {plan.method}: give one method that trains, such as rpo")
    for model in (*train_on, *apply_to):
        get_model(model)  # refused before anything is trained

    cells = []
    for home_model in train_on:
        trained_runs = run(replace(plan, base_model=home_model))
        for other_model in apply_to:
            is_home = other_model == home_model
            summaries = trained_runs if is_home else _apply_modules(plan, trained_runs, other_model)
            cells += [TransferCell(home_model, other_model, summary) for summary in summaries]
    return cells


def _apply_modules(plan: Plan, trained_runs: Sequence[RunSummary], base_model: str) -> list[RunSummary]:
    """Apply the module of every trained run to the drafts of a base model; tasks that share a module go together."""
    store = ResultStore(plan.out)
    runs_by_fit: dict[str | None, list[RunSummary]] = {}
    for trained_run in trained_runs:
        spec = read_run_spec(store.root / trained_run.run / "spec.json")
        runs_by_fit.setdefault(spec.fit, []).append(trained_run)

    summaries = []
    for runs in runs_by_fit.values():
        tasks = ",".join(trained_run.task for trained_run in runs)
        # No settings: the module runs with those that it was trained with.
        summaries += run(replace(plan, base_model=base_model, adapter=runs[0].run, task=tasks, settings={}))
    return summaries
