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
    """Train and score methods on tasks, as `rpobench run` does.

    Args:
        method: Names, comma-separated, or `all`, `untrained`, `trained`.
        task: Names, comma-separated, or `all`.
        **options: The other options of `rpobench.runs.plan.Plan`.

    Returns:
        What `rpobench run --json` prints: an object for each run.

    Raises:
        RpobenchError: An option, an input or the environment is at fault.
    """
    from rpobench.runs.benchmark import run as run_plan
    from rpobench.runs.plan import make_plan

    summaries = run_plan(make_plan(method=method, task=task, **options))
    return [summary.to_json() for summary in summaries]


def score(task: str, golds: Any, preds: Any) -> dict[str, float]:
    """Compute the official metrics of predictions against golds.

    Args:
        task: The name of the task.
        golds: The targets, in LaMP's file form: a file, a zip of files, or content.
        preds: The predictions in the same form.

    Returns:
        The metrics by official name.

    Raises:
        RpobenchError: The ids of one do not match the other's.
    """
    from rpobench.scoring.official import score as score_answers

    return score_answers(task, golds, preds)
