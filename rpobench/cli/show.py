"""`rpobench show`: what a run did with each example, and what its module learned from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import AsJson, Runs, complete_runs
from rpobench.types import UNSCORED, RpobenchError

if TYPE_CHECKING:
    from rpobench.runs.examples import ExampleEntry


def show_run(
    run: Annotated[str, typer.Argument(help="A run's name, digest or folder.", autocompletion=complete_runs)],
    example: Annotated[str | None, typer.Option("--example", help="Only this example.")] = None,
    trajectories: Annotated[bool, typer.Option("--trajectories", help="What the reflection model wrote.")] = False,
    training: Annotated[bool, typer.Option("--training", help="The trajectories it learned from instead.")] = False,
    worst: Annotated[int | None, typer.Option(min=1, help="Only so many, those with the worst scores first.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, the first.")] = None,
    data: Annotated[str | None, typer.Option(help="The official folder, where the run was not on synth.")] = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Input, evidence, draft, rewrite and target of a run's examples, side by side."""
    if training and (trajectories or data or worst):
        raise RpobenchError("--training shows what a module learned from: leave --trajectories, --data and --worst out")

    if training:
        _show_training(runs, run, example, limit, as_json=as_json)
        return

    from rpobench.cli.example_tables import print_examples
    from rpobench.runs.examples import find_entries

    entries = find_entries(runs, run, example_id=example, data=data)
    if worst:
        entries = _choose_worst(entries, worst)
    entries = entries[:limit]
    if as_json:
        print(json.dumps([entry.to_json() for entry in entries]))
    else:
        print_examples(entries, trajectories=trajectories)


def _choose_worst(entries: Sequence[ExampleEntry], count: int) -> list[ExampleEntry]:
    """The entries with the worst scores, worst first."""
    scored_entries = [(entry.score, entry) for entry in entries if entry.score is not None]
    if not scored_entries:
        raise RpobenchError(f"--worst {count}: the run is {UNSCORED}; leave --worst out")

    return [entry for _, entry in sorted(scored_entries, key=lambda pair: pair[0])[:count]]


def _show_training(runs: Path, run: str, example: str | None, limit: int | None, *, as_json: bool) -> None:
    from rpobench.cli.example_tables import print_trajectories
    from rpobench.runs.training_examples import find_training_trajectories

    file, trajectories = find_training_trajectories(runs, run, example_id=example)
    trajectories = trajectories[:limit]
    if as_json:
        print(json.dumps([stored.as_record() for stored in trajectories]))
    else:
        print_trajectories(file, trajectories)
