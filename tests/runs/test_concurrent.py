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


def start(folder: Path, method: str) -> subprocess.Popen[str]:
    code = "from rpobench.cli.main import main; main()"
    plan = ["run", "--method", method, "--task", "LaMP-3", "--base-model", "scripted:echo", "--limit", "40", "--json"]
    logs = {"RPOBENCH_SCRIPTED_LOG": str(folder / "calls.log"), "TOY_LOG": str(folder / "fits.log")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *plan, "--out", str(folder / "runs")],
        env={**os.environ, "PYTHONPATH": str(PLUGIN), "RPOBENCH_SCRIPTED_DELAY": "0.05", **logs},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def both(folder: Path, first: str, second: str) -> list[list[dict[str, Any]]]:
    """What two runs print. The first is halted at its first answers until the second says that it waits."""
    one = start(folder, first)
    deadline = time.monotonic() + 120
    while not lines(folder / "calls.log"):
        assert one.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    one.send_signal(signal.SIGSTOP)
    two = start(folder, second)
    assert two.stderr
    told = iter(two.stderr.readline, "")
    assert any("another process works on it, waiting" in line for line in told), "it ended without waiting"
    one.send_signal(signal.SIGCONT)
    return [json.loads(run.communicate(timeout=120)[0]) for run in (one, two)]


def test_the_same_run_twice_is_made_once(tmp_path: Path) -> None:
    found = both(tmp_path, "ponder", "ponder")
    assert found[0] == found[1]
    assert len(lines(tmp_path / "calls.log")) == 40
    (predictions,) = tmp_path.glob("runs/*/predictions.jsonl")
    assert len(lines(predictions)) == 40


def test_two_methods_share_the_drafts_that_one_of_them_makes(tmp_path: Path) -> None:
    found = both(tmp_path, "zero-shot", "peek")
    assert len(lines(tmp_path / "calls.log")) == 40
    assert found[0][0]["references"]["draft"] == found[1][0]["references"]["draft"]


def test_one_fit_serves_both(tmp_path: Path) -> None:
    found = both(tmp_path, "learner", "learner")
    assert found[0] == found[1]
    assert len(lines(tmp_path / "fits.log")) == 1
