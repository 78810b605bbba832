"""Floors and a ceiling where the data has no oracle: what answers score that need no model, and the best own item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from rpobench.data.dataset import DataSet
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import PredictContext
from rpobench.method.contract import Method
from rpobench.registry import get_method, get_retriever
from rpobench.scoring.references import BEST_OWN_ITEM, FLOORS, Reference, rate_answers, rate_best_own_items
from rpobench.store.user_cache import cache_folder
from rpobench.task.contract import Task
from rpobench.types import Example

SEED = 0  # as of every untrained method's run, so that rankings on disk are shared


@dataclass(frozen=True)
class _ScoredData:
    """A task and its examples, the same where version and content are."""

    task_versioned: str
    sha256: str
    task: Task = field(compare=False)
    data: DataSet = field(compare=False)


def rate_data_references(task: Task, data: DataSet) -> dict[str, Reference]:
    """Score the answers that come with the data, or floors and a ceiling where it has no oracle.

    Args:
        task: The task.
        data: The scored examples.

    Returns:
        The references by name.
    """
    references = {name: rate_answers(task, data.labelled, answers) for name, answers in data.references.items()}

    return {**references, **rate_floors(task, data)}


def rate_floors(task: Task, data: DataSet) -> Mapping[str, Reference]:
    """Score what a method on real data is held against.

    The floors are methods of their names with their defaults; `best_own_item` looks at the targets.

    Args:
        task: The task.
        data: The scored examples.

    Returns:
        The references by name. A floor that does not apply to the task is left out; so are a count over a user's items
        where somebody has none, and the best own item where items hold no answer. Nothing where the data has an oracle.
    """
    if "oracle" in data.references:
        return {}
    return _rate(_ScoredData(task.versioned, data.sha256, task, data))


@lru_cache(maxsize=4)  # all runs of a command, own and swapped, are on the same few sets
def _rate(scored: _ScoredData) -> Mapping[str, Reference]:
    task, labelled = scored.task, scored.data.labelled

    references = {}
    for name, answers in _answer_without_model(task, scored.data):
        references[name] = rate_answers(task, labelled, answers)

    best_own_items = rate_best_own_items(task, labelled)
    if best_own_items is not None:
        references[BEST_OWN_ITEM] = best_own_items
    return references


def _answer_without_model(task: Task, data: DataSet) -> Iterator[tuple[str, dict[str, str]]]:
    """The name of each floor, and its answers by example id."""
    examples = list(data.examples)
    context = _make_context(task, examples, data.sha256)

    for reference, method_name in FLOORS.items():
        method_class = get_method(method_name)
        method = method_class(method_class.Config())
        if not method.applies_to(task) or not _can_count(method, task, examples):
            continue

        predictions = method.predict(task, examples, context)
        yield reference, {prediction.example_id: prediction.text for prediction in predictions}


def _can_count(method: Method, task: Task, examples: list[Example]) -> bool:
    """Whether a method that counts needs no training users: every user has items, and they hold answers."""
    return not method.trains or (bool(task.answer_field) and all(example.profile for example in examples))


def _make_context(task: Task, examples: list[Example], sha256: str) -> PredictContext:
    """The evidence that every method is lent, and no model."""
    evidence = RankedEvidence(
        get_retriever, _load_reference_tokenizer, seed=SEED, rankings_folder=cache_folder() / "orders"
    )
    evidence.rankings.expect(task, examples, f"{sha256}/own/{SEED}")

    nothing = cast(Any, None)  # a floor asks no model and keeps nothing
    return PredictContext(nothing, nothing, evidence, SEED, Path())


def _load_reference_tokenizer() -> Any:
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    return reference_tokenizer()
