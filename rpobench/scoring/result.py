"""A run's result: metrics, scores, counts, usage and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.task.contract import Task
from rpobench.types import Labelled, Prediction, Usage


def measured(
    task: Task, labelled: Sequence[Labelled], texts: Sequence[str], references: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The field `examples` of a result: by example id its user, number of profile items, measures and the scores of
    the references. `texts` and each of `references` hold an answer to each of `labelled`."""
    return {
        one.example.id: {
            "user": one.example.user_id,
            "profile_items": len(one.example.profile),
            "measures": list(task.measure(text, one.target)),
            "references": {name: task.score(answers[place], one.target) for name, answers in references.items()},
        }
        for place, (one, text) in enumerate(zip(labelled, texts, strict=True))
    }


def evidence_shown(predictions: Sequence[Prediction], topics: Mapping[str, str]) -> dict[str, float | None] | None:
    """The field `evidence` of a result; None where no prediction was made from evidence.

    `items` and `cut` are means an example: items shown, which are the first of their ranking, and reference tokens cut
    from them. `on_topic` is the share of the shown items that have their example's topic, in [0, 1]; None where
    `topics`, by id of example and profile item, does not know them.
    """
    shown = [(one.example_id, item) for one in predictions for item in one.evidence]
    if not shown:
        return None
    known = [topics[example] == topics[item] for example, item in shown if example in topics and item in topics]
    return {
        "items": len(shown) / len(predictions),
        "cut": sum(one.cut for one in predictions) / len(predictions),
        "on_topic": sum(known) / len(known) if known else None,
    }


def score(task: Task, data: DataSet, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Metrics over all predictions, per-example scores, counts, usage, and the references' values.

    `kept`, the share of examples whose draft a gate kept, stands there only where the method has a gate.

    The reference `draft` is of the predictions' own drafts, so only a method that drafts for every example has it;
    `strict` holds the metrics of the raw texts.
    """
    ids = [one.example.id for one in data.labelled]
    targets = [one.target for one in data.labelled]
    ordered = [predictions[key] for key in ids]
    texts = [prediction.text for prediction in ordered]
    known = {name: [answers[key] for key in ids] for name, answers in data.references.items()}
    drafts = [prediction.draft for prediction in ordered if prediction.draft is not None]
    if len(drafts) == len(ids):
        known["draft"] = drafts
    return {
        "metrics": task.aggregate(texts, targets),
        "strict": task.aggregate([prediction.raw for prediction in ordered], targets),
        "scores": {key: task.score(text, target) for key, text, target in zip(ids, texts, targets, strict=True)},
        "references": {name: task.aggregate(answers, targets) for name, answers in known.items()},
        "examples": measured(task, data.labelled, texts, known),
        "evidence": evidence_shown(ordered, data.topics),
        "users": data.users,
        **counted(task, ordered),
    }


def counted(task: Task, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """What of a result needs no data: counts and usage of its predictions, and the task's metrics by name."""
    return {
        "n": len(predictions),
        "failed": sum(prediction.failure is not None for prediction in predictions),
        "unanswered": sum(prediction.unanswered for prediction in predictions),
        **_kept(predictions),
        "usage": asdict(sum((prediction.usage for prediction in predictions), Usage())),
        "main_metric": task.main_metric,
        "directions": dict(task.metrics),
    }


def _kept(predictions: Sequence[Prediction]) -> dict[str, float]:
    gated = [one.draft_kept for one in predictions if one.draft_kept is not None]
    return {"kept": sum(gated) / len(predictions)} if gated else {}
