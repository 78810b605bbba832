"""What `rpobench show --training` tells: what a module learned from, where it may be shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from run_answers import perfect

from rpobench.cli import example_tables
from rpobench.runs.training_examples import find_training_trajectories
from rpobench.store.files import write_json
from rpobench.store.spec import DataSpec, FitSpec
from rpobench.types import RpobenchError

Make = Callable[..., Path]
TASK_NAMES = ("LaMP-3", "LaMP-6")


def write_fit(root: Path, digest: str, *, source: str = "synth-v2") -> Path:
    """Write a fit of two tasks with the trajectories it learned, and return their file."""
    data = DataSpec(source=source, split="train", sha256="ab")
    spec = FitSpec(
        method="rpo",
        version="1",
        config={},
        train_tasks=tuple(f"{task_name}@1" for task_name in TASK_NAMES),
        data=(data, data),
        base_model="m",
        seed=0,
    )
    write_json(root / "fits" / digest / "spec.json", spec.model_dump(mode="json"))

    records = []
    for task_name in TASK_NAMES:
        for number in range(2):
            texts = {"draft": f"d{number}", "shows": f"s{number}", "lacks": f"l{number}", "rewrite": "[b]"}
            records.append({"task": task_name, "example": f"{task_name}/{number}", **texts})

    file = root / "fits" / digest / "checkpoint" / "trajectories.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def check_refusal(fault: str, folder: Path, **options: str) -> None:
    with pytest.raises(RpobenchError, match=fault):
        find_training_trajectories(folder.parent, folder.name, **options)


def test_what_a_module_learned_from_is_shown_with_its_file(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run("good", perfect, fit="abc")
    trajectory_file = write_fit(folder.parent, "abc")

    file, trajectories = find_training_trajectories(folder.parent, folder.name)

    assert file == trajectory_file
    example_ids = [trajectory.example_id for trajectory in trajectories]
    assert example_ids == ["LaMP-3/0", "LaMP-3/1"], "the run's task alone"
    _, chosen = find_training_trajectories(folder.parent, folder.name, example_id="LaMP-3/1")
    assert chosen == trajectories[1:]

    example_tables.print_trajectories(file, trajectories)
    output = capsys.readouterr().out
    assert all(text in output for text in ("LaMP-3/1", "d1", "s1", "l1", "[b]", str(file), "trajectories="))


def test_the_command_prints_what_a_module_learned_from(make_run: Make) -> None:
    folder = make_run("good", perfect, fit="abc")
    write_fit(folder.parent, "abc")
    command = ["show", folder.name, "--runs", folder.parent, "--training"]

    _, trajectories = find_training_trajectories(folder.parent, folder.name)

    records = json.loads(run_rpobench(*command, "--json").stdout)
    assert records == [trajectory.as_record() for trajectory in trajectories]
    refusal = run_rpobench(*command, "--trajectories")
    assert refusal.returncode == 1 and "leave --trajectories, --data and --worst out" in refusal.stderr


def test_what_a_module_learned_from_cannot_always_be_shown(make_run: Make) -> None:
    def make(name: str, fit: str | None, **changes: Any) -> Path:
        return make_run(name, perfect, fit=fit, **changes)

    check_refusal("was not trained", make("none", None))
    folder = make("good", "abc")
    check_refusal("packed runs leave it out", folder)

    write_fit(folder.parent, "abc")
    check_refusal("--example LaMP-6/0: .* no such trajectory of LaMP-3", folder, example_id="LaMP-6/0")

    (folder / "result.json").rename(folder / "moved.json")
    check_refusal("not finished", folder)
    (folder / "moved.json").rename(folder / "result.json")
    find_training_trajectories(folder.parent, folder.name)

    make("applied", "abc", texts=False)
    check_refusal("not to be shown", folder)  # whoever else uses the fit


def test_licensed_texts_that_were_learned_are_not_shown(make_run: Make) -> None:
    licensed_run = make_run("applied-to-a-world", perfect, fit="mails", task="LaMP-6")
    free_run = make_run("ratings", perfect, fit="mails")
    write_fit(licensed_run.parent, "mails", source="LaMP_6")

    check_refusal("not to be shown", licensed_run)

    find_training_trajectories(free_run.parent, free_run.name)  # of a task whose texts are free

    write_json(licensed_run.parent / "fits" / "mails" / "environment.json", {"free_tasks": ["LaMP-6"]})
    find_training_trajectories(licensed_run.parent, licensed_run.name)  # of commits, and not of mails
