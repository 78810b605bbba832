"""rpobench: train and compare personalization methods for black-box language models on the LaMP tasks.

`rpobench.run(method="rpo", task="all")` is what the command line does; `get_task`, `get_method`, `get_model` and
`get_retriever` find anything by name; `score` is the official scorer. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import Any

from rpobench.registry import get_method, get_model, get_retriever, get_task

__version__ = "0.1.0"
__all__ = ["get_method", "get_model", "get_retriever", "get_task", "run", "score"]


def run(method: str, task: str, **options: Any) -> list[dict[str, Any]]:
    """Train and score methods on tasks; `options` are those of `plan.Plan`. One object a run. Raises RpobenchError."""
    from rpobench.runs.benchmark import run as run_plan
    from rpobench.runs.plan import make_plan

    summaries = run_plan(make_plan(method=method, task=task, **options))
    return [summary.to_json() for summary in summaries]


def score(task: str, golds: Any, preds: Any) -> dict[str, float]:
    """The official metrics of predictions against golds, from files or their content."""
    from rpobench.scoring.official import score as score_answers

    return score_answers(task, golds, preds)
