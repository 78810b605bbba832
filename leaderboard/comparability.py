"""Which runs are meant by a comparison, which of them may be compared, and what makes a comparison unfair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rpobench.leaderboard.rows import count_unanswered

from rpobench.scoring.row_labels import label_runs, training_hash
from rpobench.store.identity import comparable_identity
from rpobench.store.spec import FitSpec
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError

Rows = dict[str, dict[str, dict[int, StoredRun]]]  # by row label, then by task, then by seed


def arrange_rows(runs: Sequence[StoredRun]) -> Rows:
    """Sort runs into rows.

    Raises:
        RpobenchError: Two runs would stand in one place, so that one would be left out without a word; or runs of one
            row did not answer the same examples, or were not made alike.
    """
    rows: Rows = {}
    for run, label in zip(runs, label_runs(runs), strict=True):
        row_label = label if run.has_own_profiles else f"{label} (swapped)"
        cell = rows.setdefault(row_label, {}).setdefault(run.task_name, {})

        for other in cell.values():
            check_same_examples(run.task_name, other, run)
            _check_made_alike(run.task_name, row_label, other, run)

        seed = run.spec.seed
        if seed in cell:
            names = _names(cell[seed], run)
            raise RpobenchError(f"{run.task_name}: {names} are both {row_label} of seed {seed}: name one of them")
        cell[seed] = run

    return rows


def check_same_examples(task: str, first: StoredRun, second: StoredRun) -> None:
    """Refuse two runs that did not answer the same questions.

    Raises:
        RpobenchError: They differ in data, split, limit, task version, example ids or users.
    """
    facts: dict[str, tuple[Any, Any]] = {
        "data sha256": (first.spec.data.sha256[:12], second.spec.data.sha256[:12]),
        "split": (first.spec.data.split, second.spec.data.split),
        "drawn users": (first.spec.data.users, second.spec.data.users),
        "limit": (first.spec.data.limit, second.spec.data.limit),
        "task version": (first.spec.task, second.spec.task),
        "example ids": (sorted(first.result.scores), sorted(second.result.scores)),
    }
    if first.user_by_example is not None and second.user_by_example is not None:
        facts["the users of their examples"] = (first.user_by_example, second.user_by_example)

    for fact, (first_value, second_value) in facts.items():
        if first_value != second_value:
            is_short = isinstance(first_value, str | int | None)
            values = f" ({first_value} and {second_value})" if is_short else ""
            raise RpobenchError(
                f"{task}: {_names(first, second)} differ in {fact}{values}: run both on the same examples, or "
                "choose those that were by --base-model, --data, --split, --limit or name"
            )


def comparison_warnings(first: Mapping[int, StoredRun], second: Mapping[int, StoredRun]) -> list[str]:
    """Say what else than the method differs between two rows on one task, so that the comparison is unfair.

    Args:
        first: The runs of one row by seed.
        second: Those of the other.

    Returns:
        A line for each condition that differs.
    """
    run, rival = next(iter(first.values())), next(iter(second.values()))

    warnings = []
    for condition, (value, rival_value) in _conditions(run, rival).items():
        if value != rival_value:
            warnings.append(f"{condition} differs: {value} and {rival_value}")

    if run.spec.profiles == rival.spec.profiles:
        warnings += _evidence_warning(run, rival)

    return warnings


def unanswered_warnings(counts: Mapping[str, int]) -> list[str]:
    """A line for each row, by label, in which a model left examples without answer."""
    return [f"{label}: {count} examples without answer count as wrong" for label, count in counts.items() if count]


def unanswered_by_label(sides: Mapping[str, Mapping[int, StoredRun]]) -> dict[str, int]:
    """How many examples of each side, by row label, a model gave no answer to."""
    return {label: count_unanswered(runs.values()) for label, runs in sides.items()}


def _conditions(run: StoredRun, rival: StoredRun) -> dict[str, tuple[Any, Any]]:
    """What should be equal between rivals, with both values: base model, prompts, profiles, shared knobs, training."""
    conditions: dict[str, tuple[Any, Any]] = {
        "base model": (comparable_identity(run.spec.base_model), comparable_identity(rival.spec.base_model)),
        "prompts": (run.environment.comparable_prompts[:8], rival.environment.comparable_prompts[:8]),
    }
    if run.spec.method != rival.spec.method:
        conditions["profiles"] = (run.spec.profiles, rival.spec.profiles)
        for knob in sorted(run.spec.config.keys() & rival.spec.config.keys()):
            conditions[knob] = (run.spec.config[knob], rival.spec.config[knob])

    fit, rival_fit = run.fit_spec, rival.fit_spec
    if fit is not None and rival_fit is not None:
        conditions["training data"] = (_training_hashes(fit), _training_hashes(rival_fit))
        conditions["training examples"] = (_training_limits(fit), _training_limits(rival_fit))

    return conditions


def _training_hashes(fit: FitSpec) -> list[str]:
    return [data.sha256[:8] for data in fit.data]


def _training_limits(fit: FitSpec) -> list[int | None]:
    return [data.limit for data in fit.data]


def _evidence_warning(run: StoredRun, rival: StoredRun) -> list[str]:
    """A line where the two were shown other profile items of the same profiles; nothing where they were not."""
    predictions, rival_predictions = run.predictions(), rival.predictions()
    shared_ids = predictions.keys() & rival_predictions.keys()

    differing_count = 0
    for example_id in shared_ids:
        evidence, rival_evidence = predictions[example_id].evidence, rival_predictions[example_id].evidence
        differing_count += set(evidence) != set(rival_evidence)

    return [f"evidence differs on {differing_count} of {len(shared_ids)} examples"] if differing_count else []


def _check_made_alike(task: str, label: str, run: StoredRun, other: StoredRun) -> None:
    """Refuse seeds of one row that were not made alike."""
    facts: dict[str, Callable[[StoredRun], str | None]] = {
        "base model": lambda run: comparable_identity(run.spec.base_model),
        "prompts": lambda run: run.environment.comparable_prompts[:8],
        "training data": training_hash,
    }

    for fact, fact_of in facts.items():
        if fact_of(run) != fact_of(other):
            values = f"{fact_of(run)} and {fact_of(other)}"
            raise RpobenchError(
                f"{task}: {_names(run, other)} are both {label} and differ in {fact} ({values}): "
                "choose by --base-model, --set or the names of runs"
            )


def _names(*runs: StoredRun) -> str:
    return " and ".join(run.name for run in runs)
