"""The table that ends a run: in a narrow window nothing is shortened, and what has no room is listed below."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_rpobench
from terminal_window import read_window

PLAN = ("run", "--base-model", "scripted:echo", "--limit", "6", "--task", "LaMP-3,LaMP-7")
METHODS = ("--method", "zero-shot,rag-random", "--set", "k=3", "--seed", "0,1")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("summary") / "runs"
    result = run_rpobench(*PLAN, *METHODS, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_cell_is_shortened_in_any_window(out: Path, columns: int) -> None:
    summaries = json.loads(run_rpobench(*PLAN, *METHODS, "--out", out, "--json").stdout)

    window = read_window(*PLAN, *METHODS, "--out", out, columns=columns)

    assert "…" not in window and "..." not in window
    words = " ".join(window.split())
    for summary in summaries:
        scores = [summary["metrics"][summary["main_metric"]], *summary["references"].values()]
        for score in scores:
            assert score is None or f"{score:.3f}" in words
        assert summary["row"] in words and summary["task"] in words
    assert max(map(len, window.replace(str(out), "").splitlines())) <= columns


def test_rows_say_their_seeds_and_what_they_rest_on(out: Path) -> None:
    lines = run_rpobench(*PLAN, *METHODS, "--out", out).stdout.splitlines()

    rows = [line.split()[:4] for line in lines if line.startswith("LaMP-")]
    assert rows == [
        ["LaMP-3", "zero-shot", "all", "MAE"],
        ["LaMP-7", "zero-shot", "all", "rouge-1"],
        ["LaMP-3", "rag-random", "k=3", "0"],
        ["LaMP-3", "rag-random", "k=3", "1"],
        ["LaMP-7", "rag-random", "k=3", "0"],
        ["LaMP-7", "rag-random", "k=3", "1"],
    ]
    assert "data: synth-v2, world 0, split dev" in lines and "base model: scripted:echo" in lines
    assert "rag-random: k=3 max_evidence_tokens=110 max_prompt_tokens=256" in lines


def test_what_has_no_room_is_listed_by_row(out: Path) -> None:
    window = read_window(*PLAN, *METHODS, "--out", out, columns=80)

    assert "LaMP-3 rag-random k=3 seed 1: " in window
    assert "best generic 0." in " ".join(window.split())
