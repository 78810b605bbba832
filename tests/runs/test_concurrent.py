"""Two processes at work in one folder: each waits for the other where they meet, and nothing is made twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from paths import PLUGIN
from text_files import read_lines


def start(folder: Path, method: str) -> subprocess.Popen[str]:
    code = "from rpobench.cli.main import main; main()"
    options = ["--task", "LaMP-3", "--base-model", "scripted:echo", "--limit", "40", "--out", str(folder / "runs")]
    logs = {"RPOBENCH_SCRIPTED_LOG": str(folder / "calls.log"), "TOY_LOG": str(folder / "fits.log")}

    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "--method", method, "--json", *options],
        env={**os.environ, "PYTHONPATH": str(PLUGIN), "RPOBENCH_SCRIPTED_DELAY": "0.05", **logs},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_two(folder: Path, first_method: str, second_method: str) -> list[list[dict[str, Any]]]:
    """Return what two runs print. The first is halted at its first answers until the second says that it waits."""
    first = start(folder, first_method)
    deadline = time.monotonic() + 120
    while not read_lines(folder / "calls.log"):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)

    second = start(folder, second_method)
    assert second.stderr
    messages = iter(second.stderr.readline, "")
    waits = any("another process works on it, waiting" in message for message in messages)
    assert waits, "it ended without waiting"

    first.send_signal(signal.SIGCONT)
    return [json.loads(process.communicate(timeout=120)[0]) for process in (first, second)]


def test_the_same_run_twice_is_made_once(tmp_path: Path) -> None:
    first, second = run_two(tmp_path, "ponder", "ponder")

    assert first == second
    assert len(read_lines(tmp_path / "calls.log")) == 40
    (predictions,) = tmp_path.glob("runs/*/predictions.jsonl")
    assert len(read_lines(predictions)) == 40


def test_two_methods_share_the_drafts_that_one_of_them_makes(tmp_path: Path) -> None:
    first, second = run_two(tmp_path, "zero-shot", "peek")

    assert len(read_lines(tmp_path / "calls.log")) == 40
    assert first[0]["references"]["draft"] == second[0]["references"]["draft"]


def test_a_fit_serves_two_runs(tmp_path: Path) -> None:
    first, second = run_two(tmp_path, "learner", "learner")

    assert first == second
    assert len(read_lines(tmp_path / "fits.log")) == 1
