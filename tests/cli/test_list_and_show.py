"""`list` says what there is to know of each name; `show` begins where it hurts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_rpobench
from terminal_window import read_window

PLAN = ("run", "--base-model", "scripted:echo", "--limit", "6", "--method", "zero-shot", "--task", "LaMP-3,LaMP-7")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("list") / "runs"
    assert run_rpobench(*PLAN, "--out", folder).returncode == 0
    return folder


def test_methods_say_what_they_train_and_where_they_apply() -> None:
    lines = [line.split("\t") for line in run_rpobench("list", "methods").stdout.splitlines()]
    methods = {name: rest for name, *rest in lines}

    assert methods["zero-shot"][:2] == ["nothing", "all tasks"]
    assert methods["majority"][:2] == ["counts only", "LaMP-1, LaMP-2, LaMP-3"]
    assert methods["rpo"][0] == "its own model"
    assert methods["hydra"][1] == "all but LaMP-1"
    assert methods["rag-recency"][1] == "all tasks, with dates"
    assert all(len(rest) == 3 and rest[2] for rest in methods.values())


def test_runs_stand_with_their_scores(runs: Path) -> None:
    names = json.loads(run_rpobench("list", "runs", "--runs", runs, "--json").stdout)
    lines = [line.split("\t") for line in run_rpobench("list", "runs", "--runs", runs).stdout.splitlines()]

    assert [line[0] for line in lines] == names
    for name, metric, score, *_ in lines:
        result = json.loads((runs / name / "result.json").read_text())
        assert metric == result["main_metric"] and score == f"{result['metrics'][metric]:.3f}"


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_lists_shorten_nothing(runs: Path, columns: int) -> None:
    for arguments in (("list", "runs", "--runs", runs), ("list", "methods")):
        window = read_window(*arguments, columns=columns)

        assert "…" not in window and window.strip()
        assert max(map(len, window.splitlines())) <= columns


def test_the_worst_examples_come_first(runs: Path) -> None:
    run = next(runs.glob("LaMP-7-zero-shot-*")).name
    entries = json.loads(run_rpobench("show", run, "--runs", runs, "--json").stdout)

    worst = json.loads(run_rpobench("show", run, "--runs", runs, "--json", "--worst", "3").stdout)
    first = json.loads(run_rpobench("show", run, "--runs", runs, "--json", "--limit", "2").stdout)

    assert [entry["score"] for entry in worst] == sorted(entry["score"] for entry in entries)[:3]
    assert first == entries[:2]


def test_worst_says_nothing_of_training_trajectories(runs: Path) -> None:
    result = run_rpobench("show", "run", "--runs", runs, "--training", "--worst", "3")

    assert result.returncode == 1 and "--worst" in result.stderr
