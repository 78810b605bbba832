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
from text_files import read_lines

CHUNK = 32


def command(folder: Path, method: str, *options: str) -> list[str]:
    # A background job of a plain shell starts with SIGINT ignored, and hands that on to what it starts.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from rpobench.cli.main import main; main()"
    plan = ["run", "--method", method, "--task", "LaMP-3", "--base-model", "scripted:echo", "--limit", "80", "--json"]
    return [sys.executable, "-c", code, *plan, "--out", str(folder / "runs"), *options]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    logs = {"RPOBENCH_SCRIPTED_LOG": str(folder / "calls.log"), "TOY_LOG": str(folder / "fits.log")}
    return {**os.environ, "PYTHONPATH": str(PLUGIN), **logs, **variables}


def read_last_words(folder: Path) -> list[str]:
    """The last word of each call of the base model."""
    return [json.loads(line)["last"] for line in read_lines(folder / "calls.log")]


def read_ids(folder: Path, pattern: str) -> set[str]:
    """The examples that the matching files hold."""
    return {json.loads(line)["example_id"] for file in folder.glob(pattern) for line in read_lines(file)}


def finish(folder: Path, method: str, *options: str) -> list[dict[str, Any]]:
    """Run to the end, and return what is printed, without seconds."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(command(folder, method, *options), env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    run_objects: list[dict[str, Any]] = json.loads(done.stdout)
    for run_object in run_objects:
        del run_object["seconds"]
    return run_objects


def kill_when(folder: Path, method: str, pattern: str, count: int) -> None:
    """Start a run and send SIGKILL as soon as the files that match have so many lines."""
    folder.mkdir()
    slow = environment(folder, RPOBENCH_SCRIPTED_DELAY="0.02")
    with subprocess.Popen(
        command(folder, method), env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        deadline = time.monotonic() + 60
        while sum(len(read_lines(file)) for file in folder.glob(pattern)) < count:
            assert run.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
            time.sleep(0.005)

        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL


def test_killed_while_drafting(tmp_path: Path) -> None:
    whole_folder, killed_folder = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole_folder, "zero-shot")

    kill_when(killed_folder, "zero-shot", "calls.log", CHUNK + 8)
    drafted_ids = read_ids(killed_folder, "runs/drafts/*.jsonl")
    assert len(drafted_ids) == CHUNK, "one chunk is on disk, the second was under way"
    calls_before = len(read_last_words(killed_folder))

    assert finish(killed_folder, "zero-shot") == expected
    calls = read_last_words(killed_folder)
    assert len(calls) - calls_before == 80 - CHUNK, "what was drafted is not drafted again"
    assert set(calls) == set(read_last_words(whole_folder))


def test_killed_while_predicting(tmp_path: Path) -> None:
    """`ponder` asks the model once for each prediction, so calls count predictions."""
    whole_folder, killed_folder = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole_folder, "ponder")

    kill_when(killed_folder, "ponder", "calls.log", CHUNK + 8)
    assert len(read_ids(killed_folder, "runs/*/predictions.jsonl")) == CHUNK

    assert finish(killed_folder, "ponder") == expected
    calls = Counter(read_last_words(killed_folder))
    assert sum(calls.values()) < 80 + CHUNK, "only the chunk under way is made again"
    assert len(read_ids(killed_folder, "runs/*/predictions.jsonl")) == 80
    (predictions,) = killed_folder.glob("runs/*/predictions.jsonl")
    assert len(read_lines(predictions)) == 80, "every prediction stands there once"


def test_killed_in_the_swapped_control(tmp_path: Path) -> None:
    whole_folder, killed_folder = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole_folder, "peek")

    kill_when(killed_folder, "peek", "runs/LaMP-3-peek-*/result.json", 1)

    assert finish(killed_folder, "peek") == expected
    assert len(read_lines(killed_folder / "calls.log")) == 80, "the control uses the drafts that are there"


def test_killed_while_fitting(tmp_path: Path) -> None:
    whole_folder, killed_folder = tmp_path / "whole", tmp_path / "killed"
    expected = finish(whole_folder, "learner")

    killed_folder.mkdir()
    deadly = environment(killed_folder, TOY_DIE="1")
    dying = subprocess.run(command(killed_folder, "learner"), env=deadly, capture_output=True)
    assert dying.returncode == -signal.SIGKILL
    assert not list(killed_folder.glob("runs/fits/*/checkpoint")), "a half-finished fit is no fit"
    draft_count = len(read_lines(killed_folder / "calls.log"))

    assert finish(killed_folder, "learner") == expected
    assert len(read_lines(killed_folder / "calls.log")) == draft_count, "drafts made for training are not made again"
    assert len(read_lines(killed_folder / "fits.log")) == 2

    finish(killed_folder, "learner", "--seed", "0")
    assert len(read_lines(killed_folder / "fits.log")) == 2, "a finished fit is loaded"


def test_interrupted_by_the_user(tmp_path: Path) -> None:
    slow = environment(tmp_path, RPOBENCH_SCRIPTED_DELAY="0.05")

    with subprocess.Popen(
        command(tmp_path, "zero-shot"), env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while len(read_lines(tmp_path / "calls.log")) < 3:
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        output, messages = run.communicate(timeout=30)

    assert run.returncode not in (0, None) and output == ""
    assert "the same command continues" in messages and "Traceback" not in messages


@pytest.mark.parametrize("size", [1, 40])
def test_a_torn_last_prediction_is_made_again(tmp_path: Path, size: int) -> None:
    expected = finish(tmp_path, "peek", "--no-swap")
    (predictions,) = tmp_path.glob("runs/*/predictions.jsonl")
    predictions.write_bytes(predictions.read_bytes()[:-size])
    (tmp_path / "runs" / expected[0]["run"] / "result.json").unlink()

    assert finish(tmp_path, "peek", "--no-swap") == expected

    lines = read_lines(predictions)
    assert len({json.loads(line)["example_id"] for line in lines}) == len(lines) == 80
