"""Does a module that was trained on one base model's drafts improve another's? The matrix of both, as ordinary runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rpobench.registry import get_method, get_model
from rpobench.runs.benchmark import run
from rpobench.runs.plan import Plan, parse_method_names
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_run_spec
from rpobench.types import RpobenchError


def transfer(plan: Plan, train_on: Sequence[str], apply_to: Sequence[str]) -> list[dict[str, Any]]:
    """Train `plan`'s method on the drafts of each model of `train_on`, apply each module to those of `apply_to`.

    One object a module, base model and task: `trained_on`, `applied_to`, and what `rpobench run --json` prints of it.
    Everything is an ordinary run in the plan's folder, so what is finished there is not done again.
    """
    names = parse_method_names(plan.method)
    if len(names) != 1 or not get_method(names[0]).trains:
        raise RpobenchError(f"--method {plan.method}: give one method that trains, such as rpo")
    for model in (*train_on, *apply_to):
        get_model(model)  # refused before anything is trained
    rows = []
    for home in train_on:
        trained = run(replace(plan, base_model=home))
        for other in apply_to:
            made = trained if other == home else _applied(plan, trained, other)
            rows += [{"trained_on": home, "applied_to": other, **one} for one in made]
    return rows


def _applied(plan: Plan, trained: Sequence[dict[str, Any]], other: str) -> list[dict[str, Any]]:
    """Every trained run's module on the drafts of `other`; tasks that share a module go together."""
    store, shared = ResultStore(plan.out), dict[str, list[dict[str, Any]]]()
    for one in trained:
        shared.setdefault(read_run_spec(store.root / one["run"] / "spec.json")["fit"], []).append(one)
    return [
        made
        for runs in shared.values()
        for made in run(
            replace(
                plan,
                base_model=other,
                adapter=runs[0]["run"],
                task=",".join(one["task"] for one in runs),
                settings={},  # those of the module, with which it was trained
            )
        )
    ]
