"""`rpobench score`: official files of predictions against official files of golds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import AsJson


def score_files(
    task: Annotated[str, typer.Option(help="A task, such as LaMP-3; or all, for two zips of official files.")],
    golds: Annotated[Path, typer.Option(help="Official outputs file, or a zip that holds it.")],
    preds: Annotated[Path, typer.Option(help="Predictions in the same form, {id: text}, or JSONL.")],
    extra: Annotated[
        bool, typer.Option("--extra", help="ROUGE-2, BLEU, METEOR of texts; F1 by label and confusion of labels.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score official files as LaMP's scorer does; the texts are taken as they are."""
    if task == "all":
        _score_all_tasks(golds, preds, extra=extra, as_json=as_json)
    else:
        _score_task(task, golds, preds, extra=extra, as_json=as_json)


def _score_all_tasks(golds: Path, preds: Path, *, extra: bool, as_json: bool) -> None:
    from rpobench.scoring.official import score_all
    from rpobench.task.extra_metrics import metric_lines

    metrics_by_task = score_all(golds, preds, extra=extra)
    _print_warnings(list(metrics_by_task), golds, preds)
    if extra:
        _print_tasks_without_extra(list(metrics_by_task))
    if as_json:
        print(json.dumps(metrics_by_task))
        return

    lines = []
    for name, metrics in metrics_by_task.items():
        lines += [f"{name}\t{line}" for line in metric_lines(metrics)]
    print("\n".join(lines))


def _score_task(task: str, golds: Path, preds: Path, *, extra: bool, as_json: bool) -> None:
    from rpobench.scoring.official import score, score_extra
    from rpobench.task.extra_metrics import metric_lines

    metrics = dict(score(task, golds, preds))
    if extra:
        metrics |= score_extra(task, golds, preds)
        _print_tasks_without_extra([task])
    _print_warnings([task], golds, preds)
    print(json.dumps(metrics) if as_json else "\n".join(metric_lines(metrics)))


def _print_warnings(tasks: list[str], golds: Path, preds: Path) -> None:
    from rpobench.scoring.official import list_warnings

    for task in tasks:
        for warning in list_warnings(task, golds, preds):
            print(f"warning: {warning}", file=sys.stderr)


def _print_tasks_without_extra(names: list[str]) -> None:
    """Say on stderr for which tasks `--extra` adds nothing."""
    from rpobench.registry import get_task
    from rpobench.task.extra_metrics import EXTRA_KINDS

    for name in names:
        task = get_task(name)
        if task.kind not in EXTRA_KINDS:
            official_metrics = " and ".join(task.metrics)
            print(
                f"note: {name}: --extra adds nothing to the {official_metrics} of a {task.kind} task", file=sys.stderr
            )
