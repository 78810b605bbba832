"""What a run did with each example, put together from the store and the data it was made on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.sources import restore_source
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.registry import get_task
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import DataSpec
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task
from rpobench.types import Example, Prediction, ProfileItem, RpobenchError


@dataclass(frozen=True)
class ExampleEntry:
    """What a run did with one example.

    A text is None where the run has none, where its data is not at hand, and where it is not to be shown.

    Attributes:
        example: The example's id.
        user: The user's id.
        draft: The draft that the method started from.
        trajectory: What the reflection model wrote.
        prediction: The answer.
        score: Its score; None of an unscored run.
        failure: Why there is no answer.
        cut: How many tokens of the reference tokenizer were cut from the evidence.
        length: The answer's length in characters; None where the run was packed without texts.
        input: What the example asks.
        evidence: The profile items that were shown, best first, as they were cut.
        target: The user's own answer.
    """

    example: str
    user: str
    draft: str | None
    trajectory: str | None
    prediction: str | None
    score: float | None
    failure: str | None
    cut: int
    length: int | None
    input: str | None = None
    evidence: list[str] | None = None
    target: str | None = None

    def without_texts(self) -> ExampleEntry:
        """Leave every text out; ids, scores and lengths stay."""
        return replace(self, draft=None, trajectory=None, prediction=None, input=None, evidence=None, target=None)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rpobench show --json` prints."""
        return asdict(self)


def find_entries(
    runs: Path, run_name: str, *, example_id: str | None = None, data: str | None = None
) -> list[ExampleEntry]:
    """Find a run, and put together what it did with its examples.

    Args:
        runs: The folder of the runs.
        run_name: The run's name or digest.
        example_id: The only example to show; None for all.
        data: The official folder, if the run was not on synthetic data.

    Returns:
        An entry for each example, in the data's order. Of a run that was packed without texts, ids and scores; with
        `data` also what was asked.

    Raises:
        RpobenchError: The run or the example is unknown, or its data is not at hand.
    """
    run = ResultStore(runs).find(run_name)
    if run.result.scores_only:
        print(f"{run.name}: texts withheld", file=sys.stderr)

    is_bare = run.result.scores_only and data is None
    entries = read_stored_entries(run) if is_bare else read_entries(run, data=data)
    entries = [entry for entry in entries if example_id in (None, entry.example)]

    if not entries:
        some_id = next(iter(run.example_ids), "")
        raise RpobenchError(f"--example {example_id}: {run.name} has no such example, such as '{some_id}'")
    return entries


def read_entries(run: StoredRun, *, data: str | None = None) -> list[ExampleEntry]:
    """Put together what a run did with its examples.

    Args:
        run: The run.
        data: The official folder, if the run was not on synthetic data.

    Returns:
        An entry for each example, in the data's order. Of a run made with --no-text it has no texts.

    Raises:
        RpobenchError: The run's data is not at hand, or is other data.
    """
    task = get_task(run.task_name)
    scored = _load_scored(task.name, run.spec.data, run.result.n, data)
    targets = dict(zip(scored.ids, scored.targets, strict=True)) if scored.has_targets else {}

    examples: Sequence[Example] = scored.examples
    if not run.has_own_profiles:
        examples = swap_profiles(examples, seed=run.spec.seed)

    predictions = _read_predictions(run)
    budget = run.spec.config.get("max_prompt_tokens")
    known_ids = set(run.example_ids)
    entries = []
    for example in examples:
        if example.id not in known_ids:
            raise RpobenchError(f"{run.folder}: its result has no score of {example.id!r}: `rpobench check` says more")

        prediction = predictions[example.id]
        entry = _make_stored_entry(prediction, example.user_id, run.result.scores.get(example.id))
        evidence = _show_evidence(task, example, prediction, budget)
        entries.append(replace(entry, input=task.content(example), evidence=evidence, target=targets.get(example.id)))

    return _hide_texts(run, entries)


def read_stored_entries(run: StoredRun) -> list[ExampleEntry]:
    """Read what the store alone knows: predictions, drafts and scores, but no input, evidence and target.

    Args:
        run: The run.

    Returns:
        An entry for each example. Of a run made with --no-text it has no texts.
    """
    predictions, users = _read_predictions(run), run.user_by_example or {}

    entries = []
    for example_id in run.example_ids:
        score = run.result.scores.get(example_id)
        entries.append(_make_stored_entry(predictions[example_id], users.get(example_id, ""), score))
    return _hide_texts(run, entries)


def _read_predictions(run: StoredRun) -> dict[str, Prediction]:
    """The predictions of a run by example id; every example of the result has one."""
    predictions = run.predictions()
    for example_id in run.example_ids:
        if example_id not in predictions:
            raise RpobenchError(f"{run.folder}: has no prediction of {example_id!r}: `rpobench check` says more")
    return predictions


def find_shown_items(task: Task, example: Example, prediction: Prediction, budget: int | None) -> list[ProfileItem]:
    """Find the profile items that a prediction was shown.

    Of items that share an id each is taken once, in the profile's order.

    Args:
        task: The task.
        example: The example.
        prediction: The prediction, which names the items.
        budget: What evidence was cut to, in tokens of the official prompt; None where the run does not say.

    Returns:
        The items, best first, cut as they were where the budget is known.
    """
    items_by_id: dict[str, list[ProfileItem]] = {}
    for item in example.profile:
        items_by_id.setdefault(item.id, []).append(item)
    items = [items_by_id[item_id].pop(0) for item_id in prediction.evidence if items_by_id.get(item_id)]

    if not prediction.cut or budget is None:
        return items
    return list(fit_evidence(task, example, items, budget, reference_tokenizer()).items)


def _show_evidence(task: Task, example: Example, prediction: Prediction, budget: int | None) -> list[str]:
    """List the texts of the items that a prediction was shown, and the ids of those that the profile lacks."""
    items = find_shown_items(task, example, prediction, budget)
    texts = [task.show(item) for item in items]

    profile_ids = {item.id for item in example.profile}
    foreign_ids = [item_id for item_id in prediction.evidence if item_id not in profile_ids]
    return texts + [f"{item_id} (not in this profile)" for item_id in foreign_ids]


def _make_stored_entry(prediction: Prediction, user: str, score: float | None) -> ExampleEntry:
    return ExampleEntry(
        example=prediction.example_id,
        user=user,
        draft=prediction.draft,
        trajectory=prediction.trajectory,
        prediction=prediction.text,
        score=score,
        failure=prediction.failure,
        cut=prediction.cut,
        length=len(prediction.text),
    )


def _hide_texts(run: StoredRun, entries: list[ExampleEntry]) -> list[ExampleEntry]:
    """The entries without the texts that are not to be shown, and without those that the run lacks."""
    if run.result.scores_only:
        entries = [replace(entry, prediction=None, length=None) for entry in entries]
    return entries if run.result.texts else [entry.without_texts() for entry in entries]


@lru_cache(maxsize=2)
def _load_scored(task_name: str, spec: DataSpec, count: int, folder: str | None) -> DataSet:
    """Load a run's scored examples; the last two sets stay in memory, since runs on one task follow each other."""
    source = restore_source(spec, count, folder)
    scored = source.load_scored(get_task(task_name))

    if scored.sha256 != spec.sha256:
        raise RpobenchError(f"--data {source.data}: is other data than the run saw (sha256 differs)")
    return scored
