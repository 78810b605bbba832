"""A run's result as it is written: metrics, scores, counts, usage and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.scoring.floors import rate_data_references
from rpobench.scoring.references import Reference, rate_answers
from rpobench.store.results import StoredResult
from rpobench.task.contract import Task
from rpobench.types import Labelled, Prediction, Usage


def score(task: Task, data: DataSet, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Score a run's predictions.

    Args:
        task: The task.
        data: The scored examples, with the answers of the references.
        predictions: A prediction of every example, by its id.

    Returns:
        The fields of `result.json` that come from data and predictions: metrics, scores of each example, counts, usage,
        and metrics of the references. `strict` holds the metrics of the raw texts. The reference `draft` is of the
        predictions' own drafts, so that only a method that drafts for every example has it. Of data without targets
        there are counts, usage and users alone, and the mark `unscored`.
    """
    if not data.has_targets:
        return _leave_unscored(task, data, predictions)

    example_ids, targets = data.ids, data.targets
    ordered_predictions = [predictions[example_id] for example_id in example_ids]
    texts = [prediction.text for prediction in ordered_predictions]
    raw_texts = [prediction.raw for prediction in ordered_predictions]
    references = rate_references(task, data, ordered_predictions)

    scores = [task.score(text, target) for text, target in zip(texts, targets, strict=True)]
    return {
        "metrics": task.aggregate(texts, targets),
        "strict": task.aggregate(raw_texts, targets),
        "scores": dict(zip(example_ids, scores, strict=True)),
        "references": {name: dict(reference.metrics) for name, reference in references.items()},
        "examples": measure_examples(task, data.labelled, texts, references),
        "evidence": describe_evidence(ordered_predictions, data.topics),
        "users": data.users,
        **({"withhold_texts": True} if data.withholds_texts else {}),
        **count_predictions(task, ordered_predictions),
    }


def _leave_unscored(task: Task, data: DataSet, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """The same fields for data without targets; what needs a target is empty."""
    ordered_predictions = [predictions[example_id] for example_id in data.ids]

    examples = {}
    for example in data.examples:
        profile_items = len(example.profile)
        examples[example.id] = {
            "user": example.user_id,
            "profile_items": profile_items,
            "measures": [],
            "references": {},
        }

    return {
        "unscored": True,
        **{name: {} for name in ("metrics", "strict", "scores", "references")},
        "examples": examples,
        "evidence": describe_evidence(ordered_predictions, data.topics),
        "users": data.users,
        **({"withhold_texts": True} if data.withholds_texts else {}),
        **describe_origin(data),
        **count_predictions(task, ordered_predictions),
    }


def is_licensed(task: Task, source: DataSet | StoredResult) -> bool:
    """Say whether texts are bound to the licence of the task's usual data, so that they are not to be shown.

    Args:
        task: The task.
        source: The data, or what a result says of it.

    Returns:
        False where the data is made up, or says itself under which licence it is.
    """
    return task.licensed and not source.synthetic and source.origin is None


def describe_origin(data: DataSet) -> dict[str, Any]:
    """Return the field `origin` of a result; nothing where the data does not say where it comes from."""
    return {"origin": data.origin.model_dump(mode="json")} if data.origin else {}


def rate_references(task: Task, data: DataSet, predictions: Sequence[Prediction]) -> dict[str, Reference]:
    """Score what a run is held against.

    Args:
        task: The task.
        data: The scored examples.
        predictions: The run's predictions, in the same order.

    Returns:
        The references by name: those of the data, or floors and a ceiling where it has no oracle; and the drafts where
        every prediction has one.
    """
    references = rate_data_references(task, data)

    drafts = {prediction.example_id: prediction.draft for prediction in predictions if prediction.draft is not None}
    if len(drafts) == len(predictions):
        references["draft"] = rate_answers(task, data.labelled, drafts)
    return references


def measure_examples(
    task: Task, labelled: Sequence[Labelled], texts: Sequence[str], references: Mapping[str, Reference]
) -> dict[str, dict[str, Any]]:
    """Measure each example: the field `examples` of a result.

    Args:
        task: The task.
        labelled: The examples with their targets.
        texts: The answer to each example, in the same order.
        references: What the run is held against.

    Returns:
        By example id its user, number of profile items, measures, and the scores of the references.
    """
    examples = {}

    for item, text in zip(labelled, texts, strict=True):
        example = item.example
        examples[example.id] = {
            "user": example.user_id,
            "profile_items": len(example.profile),
            "measures": list(task.measure(text, item.target)),
            "references": {name: reference.scores[example.id] for name, reference in references.items()},
        }
    return examples


def describe_evidence(predictions: Sequence[Prediction], topics: Mapping[str, str]) -> dict[str, float | None] | None:
    """Describe what the predictions were made from: the field `evidence` of a result.

    Args:
        predictions: The predictions of a run.
        topics: The topic of examples and profile items by id, where it is known.

    Returns:
        `items` and `cut` are means an example: items shown, which are the first of their ranking, and reference tokens
        cut from them. `on_topic` is the share of the shown items that have their example's topic, in [0, 1]; None where
        no topic is known. None in place of all where no prediction was made from evidence.
    """
    item_count = sum(len(prediction.evidence) for prediction in predictions)
    if not item_count:
        return None

    topic_matches: list[bool] = []
    for prediction in predictions:
        example_topic = topics.get(prediction.example_id)
        item_topics = [topics[item_id] for item_id in prediction.evidence if item_id in topics]
        if example_topic is not None:
            topic_matches += [item_topic == example_topic for item_topic in item_topics]

    return {
        "items": item_count / len(predictions),
        "cut": sum(prediction.cut for prediction in predictions) / len(predictions),
        "on_topic": sum(topic_matches) / len(topic_matches) if topic_matches else None,
    }


def count_predictions(task: Task, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Count what of a result needs no data.

    Args:
        task: The task.
        predictions: The predictions of a run.

    Returns:
        Number of predictions, of failures and of unanswered ones, usage, and the task's metrics by name. `kept`, the
        share of examples whose draft a gate kept, is there only where the method has a gate.
    """
    counts: dict[str, Any] = {
        "n": len(predictions),
        "failed": sum(prediction.failure is not None for prediction in predictions),
        "unanswered": sum(prediction.unanswered for prediction in predictions),
    }

    gate_decisions = [prediction.draft_kept for prediction in predictions if prediction.draft_kept is not None]
    if gate_decisions:
        counts["kept"] = sum(gate_decisions) / len(predictions)

    counts["usage"] = asdict(sum((prediction.usage for prediction in predictions), Usage()))
    counts["main_metric"] = task.main_metric
    counts["directions"] = dict(task.metrics)
    return counts
