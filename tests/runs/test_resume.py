"""Killed at any moment and started again: no finished answer is made twice, and the result is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from paths import PLUGIN

CHUNK = 32


def command(folder: Path, method: str, *more: str) -> list[str]:
    # A background job of a plain shell starts with SIGINT ignored, and hands that on to what it starts.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from rpobench.cli.main import main; main()"
    plan = ["run", "--method", method, "--task", "LaMP-3", "--base-model", "scripted:echo", "--limit", "80", "--json"]
    return [sys.executable, "-c", code, *plan, "--out", str(folder / "runs"), *more]


def environment(folder: Path, **more: str) -> dict[str, str]:
    logs = {"RPOBENCH_SCRIPTED_LOG": str(folder / "calls.log"), "TOY_LOG": str(folder / "fits.log")}
    return {**os.environ, "PYTHONPATH": str(PLUGIN), **logs, **more}


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def finish(folder: Path, method: str, *more: str) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(command(folder, method, *more), env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    for one in found:
        del one["seconds"]
    return found


def kill_when(folder: Path, method: str, file: str, count: int) -> None:
    """Start a run and send SIGKILL as soon as the file that matches has so many lines."""
    slow = environment(folder, RPOBENCH_SCRIPTED_DELAY="0.02")
    with subprocess.Popen(
        command(folder, method), env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        deadline = time.monotonic() + 60
        while sum(len(lines(found)) for found in folder.glob(file)) < count:
            assert run.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL


def ids(folder: Path, file: str) -> set[str]:
    return {json.loads(line)["example_id"] for found in folder.glob(file) for line in lines(found)}


def test_killed_while_drafting(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole, "zero-shot")
    killed.mkdir()
    kill_when(killed, "zero-shot", "calls.log", CHUNK + 8)
    drafted = ids(killed, "runs/drafts/*.jsonl")
    assert len(drafted) == CHUNK, "one chunk is on disk, the second was under way"
    before = len(lines(killed / "calls.log"))
    assert finish(killed, "zero-shot") == expected
    calls = [json.loads(line)["last"] for line in lines(killed / "calls.log")]
    assert len(calls) - before == 80 - CHUNK, "what was drafted is not drafted again"
    assert set(calls) == {json.loads(line)["last"] for line in lines(whole / "calls.log")}


def test_killed_while_predicting(tmp_path: Path) -> None:
    """`ponder` asks the model once for each prediction, so calls count predictions."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole, "ponder")
    killed.mkdir()
    kill_when(killed, "ponder", "calls.log", CHUNK + 8)
    finished = ids(killed, "runs/*/predictions.jsonl")
    assert len(finished) == CHUNK
    assert finish(killed, "ponder") == expected
    calls = Counter(json.loads(line)["last"] for line in lines(killed / "calls.log"))
    assert sum(calls.values()) < 80 + CHUNK, "only the chunk under way is made again"
    assert len(ids(killed, "runs/*/predictions.jsonl")) == 80
    (rows,) = killed.glob("runs/*/predictions.jsonl")
    assert len(lines(rows)) == 80, "every prediction stands there once"


def test_killed_in_the_swapped_control(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole, "peek")
    killed.mkdir()
    kill_when(killed, "peek", "runs/LaMP-3-peek-*/result.json", 1)
    assert finish(killed, "peek") == expected
    assert len(lines(killed / "calls.log")) == 80, "the control uses the drafts that are there"


def test_killed_while_fitting(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole, "learner")
    killed.mkdir()
    dying = subprocess.run(command(killed, "learner"), env=environment(killed, TOY_DIE="1"), capture_output=True)
    assert dying.returncode == -signal.SIGKILL
    assert not list(killed.glob("runs/fits/*/checkpoint")), "a half-finished fit is no fit"
    drafts = len(lines(killed / "calls.log"))
    assert finish(killed, "learner") == expected
    assert len(lines(killed / "calls.log")) == drafts, "drafts made for training are not made again"
    assert len(lines(killed / "fits.log")) == 2
    finish(killed, "learner", "--seed", "0")
    assert len(lines(killed / "fits.log")) == 2, "a finished fit is loaded"


def test_interrupted_by_the_user(tmp_path: Path) -> None:
    slow = environment(tmp_path, RPOBENCH_SCRIPTED_DELAY="0.05")
    with subprocess.Popen(
        command(tmp_path, "zero-shot"), env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while len(lines(tmp_path / "calls.log")) < 3:
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        out, told = run.communicate(timeout=30)
    assert run.returncode not in (0, None) and out == ""
    assert "the same command continues" in told and "Traceback" not in told


@pytest.mark.parametrize("size", [1, 40])
def test_a_torn_last_prediction_is_made_again(tmp_path: Path, size: int) -> None:
    expected = finish(tmp_path, "peek", "--no-swap")
    (rows,) = tmp_path.glob("runs/*/predictions.jsonl")
    rows.write_bytes(rows.read_bytes()[:-size])
    (tmp_path / "runs" / expected[0]["run"] / "result.json").unlink()
    assert finish(tmp_path, "peek", "--no-swap") == expected
    assert len({json.loads(line)["example_id"] for line in lines(rows)}) == len(lines(rows)) == 80
