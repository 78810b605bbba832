"""What a run's score is held against: answers that come with the data, drafts, floors, and the best own item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rpobench.data.lazy_examples import list_examples, list_ids, list_targets
from rpobench.task.contract import Task
from rpobench.types import Labelled

FLOORS = {
    "copy_input": "copy-input",
    "nearest_target": "nearest-target",
    "majority": "majority",
}  # methods by reference
BEST_OWN_ITEM: Final = "best_own_item"
NO_ANSWER = ""


@dataclass(frozen=True)
class Reference:
    """What known answers score. It is no method: it stands in no ranking and in no comparison.

    Attributes:
        metrics: The task's metrics by name.
        scores: The score of each example, by example id.
    """

    metrics: Mapping[str, float]
    scores: Mapping[str, float]


def rate_answers(task: Task, labelled: Sequence[Labelled], answers: Mapping[str, str]) -> Reference:
    """Score one answer for each example.

    Args:
        task: The task.
        labelled: The examples with their targets.
        answers: The answers by example id.

    Returns:
        What they score.
    """
    targets = dict(zip(list_ids(list_examples(labelled)), list_targets(labelled), strict=True))
    texts = [answers[example_id] for example_id in targets]

    scores = {example_id: task.score(answers[example_id], target) for example_id, target in targets.items()}
    return Reference(task.aggregate(texts, list(targets.values())), scores)


def rate_best_own_items(task: Task, labelled: Sequence[Labelled]) -> Reference | None:
    """Score, for each example, the answer among its user's own items that is closest to the target.

    The choice looks at the target. It is made for each metric and for the score apart, so no method that copies one
    item can do better in any of them. An item that is no better than no answer is not taken: a wrong label would lower
    the macro-F1 of that label.

    Args:
        task: The task.
        labelled: The examples with their targets.

    Returns:
        What these answers score; None where items hold no answer of this task.
    """
    import numpy as np

    if not task.answer_field:
        return None

    best_measures: dict[str, list[Sequence[float]]] = {metric: [] for metric in task.metrics}
    scores = {}
    for pair in labelled:
        items = pair.example.profile
        answers = list(dict.fromkeys([NO_ANSWER, *(item.fields[task.answer_field] for item in items)]))
        scores[pair.example.id] = max(task.score(answer, pair.target) for answer in answers)

        measures = [task.measure(answer, pair.target) for answer in answers]
        values_by_metric = task.metrics_of(task.summands(np.array(measures)))
        for metric, direction in task.metrics.items():
            values = values_by_metric[metric]
            best_index = int(values.argmax() if direction == "max" else values.argmin())
            best_measures[metric].append(measures[best_index])

    metrics = {}
    for metric, rows in best_measures.items():
        sums = task.summands(np.array(rows)).sum(axis=0)
        metrics[metric] = float(task.metrics_of(sums)[metric])
    return Reference(metrics, scores)
