"""Reports and comparisons in a narrow window: every number and every name stands there whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_rpobench
from run_answers import good, perfect, poor
from terminal_window import read_window

Make = Callable[..., Path]


@pytest.fixture
def runs(make_run: Make, tmp_path: Path) -> Path:
    for task in ("LaMP-2", "LaMP-3"):
        make_run("good", good if task == "LaMP-3" else perfect, task=task)
        make_run("a-method-with-quite-a-long-name", poor, task=task)
    return tmp_path / "runs"


@pytest.mark.parametrize("columns", [50, 80])
def test_a_report_shortens_nothing(runs: Path, columns: int) -> None:
    lines = json.loads(run_rpobench("report", "--runs", runs, "--json").stdout)

    window = read_window("report", "--runs", runs, columns=columns)

    assert "…" not in window and max(map(len, window.splitlines())) <= columns
    words = " ".join(window.split())
    for line in lines:
        assert line["method"] in words and line["task"] in words
        assert f"{line['value']:.3f}" in words
        assert line["low"] is None or f"[{line['low']:z.3f}, {line['high']:z.3f}]" in words


@pytest.mark.parametrize("columns", [50, 80])
def test_a_comparison_shortens_nothing(runs: Path, columns: int) -> None:
    names = ("good", "a-method-with-quite-a-long-name")
    report = json.loads(run_rpobench("compare", *names, "--runs", runs, "--json").stdout)

    window = read_window("compare", *names, "--runs", runs, columns=columns)

    assert "…" not in window and max(map(len, window.splitlines())) <= columns
    words = " ".join(window.split())
    for comparison in report["comparisons"]:
        assert comparison["task"] in words and comparison["metric"] in words
        assert f"{comparison['first_value']:.3f}" in words and f"{comparison['difference']:+z.3f}" in words
        assert f"{comparison['p_holm']:.4f}" in words
