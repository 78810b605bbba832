"""One run's examples: input, evidence, draft, rewrite and target, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rpobench.data.dataset import DataSet
from rpobench.data.sources import rescored
from rpobench.registry import get_task
from rpobench.store import ResultStore, read_predictions
from rpobench.stored import read_result, read_run_spec
from rpobench.swap import swapped
from rpobench.task import Task
from rpobench.terminal import printable
from rpobench.types import Example, Prediction, RpobenchError

TEXTS = ("input", "evidence", "draft", "trajectory", "prediction", "target")  # left out of runs made with --no-text


def examples_of(runs: Path, run: str, *, example: str | None = None, data: str | None = None) -> list[dict[str, Any]]:
    """What a run did with each example, in the data's order. Raises RpobenchError for an unknown run or example."""
    folder = ResultStore(runs).find(run)
    if not (folder / "result.json").exists():
        raise RpobenchError(f"{folder}: the run is not finished: the command that began it continues it")
    spec, result = read_run_spec(folder / "spec.json"), read_result(folder / "result.json")
    task = get_task(spec["task"].split("@")[0])
    loaded = _data(task, spec["data"], result["n"], data)
    shown = [one.example for one in loaded.labelled]
    if spec["profiles"] == "swapped":
        shown = swapped(shown, seed=spec["seed"])
    targets = {one.example.id: one.target for one in loaded.labelled}
    predictions = read_predictions(folder / "predictions.jsonl")
    found = [
        _entry(task, one, predictions[one.id], targets[one.id], result["scores"][one.id])
        for one in shown
        if example in (None, one.id)
    ]
    if not found:
        raise RpobenchError(f"--example {example}: {folder.name} has no such example, such as '{shown[0].id}'")
    if not result.get("texts", True):
        return [{name: None if name in TEXTS else value for name, value in entry.items()} for entry in found]
    return found


def _data(task: Task, spec: Mapping[str, Any], count: int, folder: str | None) -> DataSet:
    source = rescored(spec, count, folder)
    loaded = source.scored_on(task)
    if loaded.sha256 != spec["sha256"]:
        raise RpobenchError(f"--data {source.data}: is other data than the run saw (sha256 differs)")
    return loaded


def _entry(task: Task, example: Example, prediction: Prediction, target: str, score: float) -> dict[str, Any]:
    items = {item.id: task.show(item) for item in example.profile}
    return {
        "example": example.id,
        "user": example.user_id,
        "input": task.content(example),
        "evidence": [items[key] for key in prediction.evidence],
        "draft": prediction.draft,
        "trajectory": prediction.trajectory,
        "prediction": prediction.text,
        "target": target,
        "score": score,
        "failure": prediction.failure,
    }


def print_examples(entries: Sequence[Mapping[str, Any]], *, trajectories: bool) -> None:
    """Print entries on stdout; texts from models and data are shown as they are, never as markup or control codes."""
    console = Console()
    for entry in entries:
        title = Text(printable(f"{entry['example']}   score {entry['score']:.3f}"))
        table = Table(title=title, show_header=False, min_width=60)
        for name in ("input", "evidence", "draft", "trajectory", "prediction", "target", "failure"):
            value = entry[name]
            if value and (name != "trajectory" or trajectories):
                table.add_row(Text(name), Text(printable("\n".join(value) if isinstance(value, list) else str(value))))
        console.print(table)
