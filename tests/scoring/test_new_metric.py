"""A metric is one function and one declaration: then it stands in results, sums, intervals and tests at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from paths import STORED

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.scoring.by_user import sum_by_user
from rpobench.scoring.result import score
from rpobench.scoring.stats import compare, interval
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, StoredResult
from rpobench.store.stored_run import StoredRun
from rpobench.task.scorers import (
    LabelCounts,
    LabelMetric,
    LabelScorer,
    RatingMetric,
    RatingScorer,
    Scorer,
    TextMetric,
    TextScorer,
)
from rpobench.types import Prediction


def length_ratio(text: str, target: str) -> float:
    return min(1.0, len(text) / len(target))


def within_one(error: Any) -> Any:
    return (error <= 1) * 1.0


def recall_of_the_first_label(counts: LabelCounts) -> Any:
    return counts.hits_by_label[..., 0] / counts.expected[..., 0]


LENGTH = TextMetric(name="length", direction="max", of_text=length_ratio)
WITHIN_ONE = RatingMetric(name="within-1", direction="max", of_error=within_one)
RECALL = LabelMetric(name="recall", direction="max", of_counts=recall_of_the_first_label)


def make_result(name: str, text: str) -> dict[str, Any]:
    """A result as it is written to disk; every prediction is this text."""
    task, data = get_task(name), generate(name, "dev", 12)
    predictions = {}
    for labelled in data.labelled:
        predictions[labelled.example.id] = Prediction(labelled.example.id, text, text)
    return score(task, data, predictions) | {"schema": 2, "texts": True, "synthetic": True, "seconds": 0.0}


def as_stored(name: str, result: dict[str, Any]) -> StoredRun:
    (run,) = ResultStore(STORED / f"v{SCHEMA_VERSION}").find_runs()
    spec = run.spec.model_copy(update={"task": get_task(name).versioned})
    return replace(run, spec=spec, result=StoredResult.model_validate(result))


@pytest.mark.parametrize(
    ("name", "scorer_class", "metric"),
    [("LaMP-7", TextScorer, LENGTH), ("LaMP-3", RatingScorer, WITHIN_ONE), ("LaMP-1", LabelScorer, RECALL)],
)
def test_a_new_metric_stands_everywhere(
    name: str, scorer_class: type[Scorer], metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer_class, "metrics", (*scorer_class.metrics, metric))

    result = make_result(name, "[1]" if name == "LaMP-1" else "4")
    other_result = make_result(name, "[2]" if name == "LaMP-1" else "1 2 3")
    run, other_run = as_stored(name, result), as_stored(name, other_result)
    sums, other_sums = sum_by_user(run), sum_by_user(other_run)

    assert run.result.directions[metric.name] == "max"
    assert set(result["strict"]) == set(result["references"]["oracle"]) == set(result["directions"])
    assert sums and other_sums
    estimate = interval(sums.metric(metric.name), sums.sums[None])
    comparison = compare(sums.metric(metric.name), sums.sums[None], other_sums.sums[None])
    assert estimate.value == pytest.approx(result["metrics"][metric.name])
    difference = result["metrics"][metric.name] - other_result["metrics"][metric.name]
    assert comparison.difference.value == pytest.approx(difference)


def test_results_from_before_a_new_metric_keep_their_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    run = as_stored("LaMP-7", make_result("LaMP-7", "so tired"))

    monkeypatch.setattr(TextScorer, "metrics", (*TextScorer.metrics, LENGTH))
    sums = sum_by_user(run)

    assert sums
    metrics = get_task("LaMP-7").metrics_of(sums.sums.sum(axis=0))
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(run.result.metrics)


def test_the_order_of_measures_is_that_of_the_declarations() -> None:
    scorer = TextScorer()

    measures = scorer.measure("b a", "a b")

    assert measures == (1.0, 0.5)
    sums = scorer.summands(np.array([measures])).sum(axis=0)
    assert scorer.metrics_of(sums) == {"rouge-1": 1.0, "rouge-L": 0.5}
