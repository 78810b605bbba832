"""Paired comparison of chosen runs: what may be compared, what deserves a warning, and how sure a difference is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rpobench.leaderboard.cell_stats import better, matched, versus
from rpobench.leaderboard.rows import Result, is_own, labels_of, natural, task_of, training_of, unanswered

from rpobench.registry import get_task
from rpobench.scoring.by_user import by_user
from rpobench.scoring.stats import ALPHA, MARGIN, beats_all, effect_size, holm, wins
from rpobench.store.predictions import read_predictions
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

Rows = Mapping[str, Mapping[str, Mapping[int, Result]]]  # label, task, seed


def chosen_runs(
    store: ResultStore,
    names: Sequence[str],
    *,
    data: str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> list[Result]:
    """The finished runs that these names mean, in order: a run, or a method for all its runs with own profiles.

    `data` (a source as tables name it, or one of its worlds: `synth-v1:11`), `split` and `limit` (0: without one)
    narrow a method's runs to those made with them, in a folder that holds several data sets.
    """
    results = store.results()
    found: dict[str, Result] = {}
    for name in names:
        of_method = [run for run in results if run["spec"]["method"] == name and is_own(run)]
        if of_method:
            of_method = [run for run in of_method if _made_with(run, data, split, limit)]
            if not of_method:
                raise RpobenchError(f"{store.root}: no finished run of {name} with this --data, --split and --limit")
        else:
            folder = str(store.find(name))
            of_method = [run for run in results if run["folder"] == folder]
            if not of_method:
                raise RpobenchError(f"{folder}: the run is not finished: the command that began it continues it")
        found |= {run["folder"]: run for run in of_method}
    return list(found.values())


def _made_with(run: Result, data: str | None, split: str | None, limit: int | None) -> bool:
    of = run["spec"]["data"]
    named = data in (None, of["source"], f"{of['source']}:{of['seed']}")
    return named and split in (None, of["split"]) and limit in (None, of["limit"] or 0)


def comparisons(runs: Sequence[Result]) -> dict[str, Any]:
    """The first run's row against every other, task by task. Raises RpobenchError where runs must not be compared."""
    rows = _rows(runs)
    first, *others = rows
    pairs = [(other, task) for other in others for task in sorted(rows[first].keys() & rows[other].keys(), key=natural)]
    if not others or not pairs:
        raise RpobenchError(f"nothing to compare {first} with: name runs of two methods on the same task")
    found = [one for other, task in pairs for one in _pair(rows, first, other, task)]
    for other in others:
        for main in (True, False):
            family = [one for one in found if one["second"] == other and one["main"] is main]
            for one, p in zip(family, holm([_number(one["p"]) for one in family]), strict=True):
                one["p_holm"] = _known(p)
    return {"first": first, "comparisons": found, "beats_all": _beats_all(found)}


def _rows(runs: Sequence[Result]) -> Rows:
    """Raises RpobenchError where two runs would stand in one place, so that one would be left out without a word."""
    rows: dict[str, dict[str, dict[int, Result]]] = {}
    for run, label in zip(runs, labels_of(runs), strict=True):
        label = label if is_own(run) else f"{label} (swapped)"
        cell, task, seed = rows.setdefault(label, {}).setdefault(task_of(run), {}), task_of(run), run["spec"]["seed"]
        for known in cell.values():
            _check_same(task, known, run)
            _check_one_row(task, label, known, run)
        if seed in cell:
            raise RpobenchError(f"{task}: {_names(cell[seed], run)} are both {label} of seed {seed}: name one of them")
        cell[seed] = run
    return rows


def _check_one_row(task: str, label: str, one: Result, run: Result) -> None:
    """Refuse seeds of one row that were not made alike."""
    for what, of in (("base model", _base_model), ("prompts", _prompts), ("training data", training_of)):
        if of(one) != of(run):
            raise RpobenchError(
                f"{task}: {_names(one, run)} are both {label} and differ in {what} ({of(one)} and {of(run)}): "
                "compare by the names of runs"
            )


def _names(*runs: Result) -> str:
    return " and ".join(Path(run["folder"]).name for run in runs)


def _base_model(run: Result) -> str:
    return str(run["spec"]["base_model"])


def _prompts(run: Result) -> str:
    return str(run["environment"]["prompt_sha256"][:8])


def _pair(rows: Rows, first: str, second: str, task: str) -> list[dict[str, Any]]:
    one, other = matched(rows[first][task], rows[second][task])
    if not one:
        raise RpobenchError(f"{task}: {first} and {second} have several seeds and share none: run both with the same")
    for run in (*one.values(), *other.values()):
        _check_same(task, next(iter(one.values())), run)
    told = _warnings(next(iter(one.values())), next(iter(other.values())))
    without = {label: unanswered(runs.values()) for label, runs in ((first, one), (second, other))}
    told += [f"{label}: {count} examples without answer count as wrong" for label, count in without.items() if count]
    names = {"first": first, "second": second, "task": task, "warnings": told, "unanswered": sum(without.values())}
    return [_compared(one, other, metric) | names for metric in next(iter(one.values()))["directions"]]


def _check_same(task: str, one: Result, other: Result) -> None:
    """Refuse two runs that did not answer the same questions."""
    facts: dict[str, list[Any]] = {
        "data sha256": [run["spec"]["data"]["sha256"][:12] for run in (one, other)],
        "split": [run["spec"]["data"]["split"] for run in (one, other)],
        "limit": [run["spec"]["data"]["limit"] for run in (one, other)],
        "task version": [run["spec"]["task"] for run in (one, other)],
        "example ids": [sorted(run["scores"]) for run in (one, other)],
    }
    if "examples" in one and "examples" in other:
        facts["the users of their examples"] = [_owners(run) for run in (one, other)]
    for what, (mine, theirs) in facts.items():
        if mine != theirs:
            values = f" ({mine} and {theirs})" if isinstance(mine, str | int | None) else ""
            raise RpobenchError(
                f"{task}: {_names(one, other)} differ in {what}{values}: run both on the same examples, or "
                "choose those that were by --data, --split, --limit or name"
            )


def _owners(run: Result) -> dict[str, str]:
    return {key: example["user"] for key, example in run["examples"].items()}


def _warnings(one: Result, other: Result) -> list[str]:
    """What makes a comparison of two runs unfair or of more than one thing."""
    told = []
    for name, values in _conditions(one, other).items():
        if values[0] != values[1]:
            told.append(f"{name} differs: {values[0]} and {values[1]}")
    if one["spec"]["profiles"] == other["spec"]["profiles"]:
        shown = [read_predictions(Path(run["folder"]) / "predictions.jsonl") for run in (one, other)]
        ids = shown[0].keys() & shown[1].keys()
        apart = sum(set(shown[0][key].evidence) != set(shown[1][key].evidence) for key in ids)
        if apart:
            told.append(f"evidence differs on {apart} of {len(ids)} examples")
    return told


def _conditions(one: Result, other: Result) -> dict[str, list[Any]]:
    """What should be equal between rivals: base model, prompts, profiles, every knob that both have, training data."""
    specs = [run["spec"] for run in (one, other)]
    found: dict[str, list[Any]] = {"base model": [_base_model(run) for run in (one, other)]}
    found["prompts"] = [_prompts(run) for run in (one, other)]
    if specs[0]["method"] != specs[1]["method"]:
        found["profiles"] = [spec["profiles"] for spec in specs]
        shared = specs[0]["config"].keys() & specs[1]["config"].keys()
        found |= {name: [spec["config"][name] for spec in specs] for name in sorted(shared)}
    fits = [run["fit"] for run in (one, other)]
    if all(fits):
        found["training data"] = [[data["sha256"][:8] for data in fit["data"]] for fit in fits]
        found["training examples"] = [[data["limit"] for data in fit["data"]] for fit in fits]
    return found


def _compared(one: Mapping[int, Result], other: Mapping[int, Result], metric: str) -> dict[str, Any]:
    """One metric of two rows on one task; numbers that cannot be known are None."""
    run = next(iter(one.values()))
    found = versus(one, other, metric)
    values = [float(np.mean([each["metrics"][metric] for each in runs.values()])) for runs in (one, other)]
    fields: dict[str, Any] = {
        "metric": metric, "main": metric == run["main_metric"], "higher_is_better": run["directions"][metric] == "max",
        "first_value": values[0], "second_value": values[1], "n": run["n"], "seeds": [len(one), len(other)],
    }  # fmt: skip
    if found is None:
        return (
            fields | dict.fromkeys(("difference", "low", "high", "p", "detectable", "equivalence")) | _users(one, other)
        )
    difference = found.difference
    return fields | _users(one, other) | {
        "difference": difference.value, "low": _known(difference.low), "high": _known(difference.high),
        "p": _known(found.p), "detectable": _known(found.detectable),
        "gain": better(run, metric, difference.value),
        "equivalence": _equivalence(run, found, metric) if _is_control(one, other) else None,
    }  # fmt: skip


def _users(one: Mapping[int, Result], other: Mapping[int, Result]) -> dict[str, Any]:
    """Effect size and counts by user, of the per-example score averaged over seeds."""
    sides = [[by_user(run) for run in runs.values()] for runs in (one, other)]
    if not all(known for side in sides for known in side):
        return dict.fromkeys(("users", "effect_size", "wins", "ties", "losses"))
    first, second = (np.mean([known.scores for known in side if known], axis=0) for side in sides)
    counted = wins(first, second)
    return {"users": len(first), "effect_size": _known(effect_size(first, second)), **counted._asdict()}


def _is_control(one: Mapping[int, Result], other: Mapping[int, Result]) -> bool:
    """Whether both are the same method, trained and asked alike, with own profiles here and swapped ones there."""
    first, second = ({seed: {**run["spec"], "profiles": ""} for seed, run in runs.items()} for runs in (one, other))
    profiles = [next(iter(runs.values()))["spec"]["profiles"] for runs in (one, other)]
    return profiles[0] != profiles[1] and first == second


def _equivalence(run: Result, found: Any, metric: str) -> dict[str, Any]:
    """Whether own and swapped profiles do equally well, up to `MARGIN` of the metric's range."""
    span = get_task(task_of(run)).metric_range
    margin = MARGIN * span
    p = found.equivalence(margin, span)
    return {"margin": margin, "p": _known(p), "equivalent": bool(p <= ALPHA)}


def _beats_all(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By task: whether the first row beats every other in the main metric, by the largest p-value, Holm over tasks.

    Nothing of a task with a rival that could not be tested, or where a model left examples without answer.
    """
    told: list[dict[str, Any]] = []
    for task in dict.fromkeys(one["task"] for one in found):
        rivals = [one for one in found if one["task"] == task and one["main"]]
        if len(rivals) > 1 and all(one["p"] is not None and not one["unanswered"] for one in rivals):
            p = beats_all([one["p"] for one in rivals], [one["gain"] for one in rivals])
            told.append({"task": task, "rivals": [one["second"] for one in rivals], "p": p})
    adjusted = holm([one["p"] for one in told])
    return [one | {"p_holm": p, "beats": p <= ALPHA} for one, p in zip(told, adjusted, strict=True)]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
