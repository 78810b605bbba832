"""Where stdout cannot take what is printed, a command says so in one line or encodes it; it never shows a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import MAIN, spawn_rpobench

from rpobench.cli.summary import print_summary
from rpobench.runs.summary import ReferenceScores, RunSummary

RUN = ("run", "--base-model", "scripted:echo", "--limit", "2", "--method", "zero-shot", "--task", "LaMP-3")


@contextmanager
def start_rpobench(*arguments: str, stdout: int, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, with this file descriptor as stdout."""
    command = [sys.executable, "-c", MAIN, *arguments]
    environment = {**os.environ, **variables}

    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment) as process:
        yield process


def wait_for_errors(process: subprocess.Popen[str]) -> str:
    """What the process wrote on stderr, which holds no traceback."""
    stderr = process.communicate(timeout=120)[1]
    assert "Traceback" not in stderr and "Exception" not in stderr
    return stderr


def test_signs_that_stdout_cannot_encode_are_escaped(tmp_path: Path) -> None:
    result = spawn_rpobench(*RUN, "--out", tmp_path, PYTHONIOENCODING="ascii")

    assert result.returncode == 0, result.stderr
    assert "MAE \\u2193" in result.stdout and "Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [("list", "tasks"), ("--version",), ("--help",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_one_line(arguments: tuple[str, ...], unbuffered: str) -> None:
    full_device = os.open("/dev/full", os.O_WRONLY)

    with start_rpobench(*arguments, stdout=full_device, PYTHONUNBUFFERED=unbuffered) as process:
        errors = wait_for_errors(process)
    os.close(full_device)

    assert errors == "rpobench: stdout: No space left on device: make room there and run again\n"
    assert process.returncode == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_fault(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with start_rpobench("list", "tasks", stdout=writing, PYTHONUNBUFFERED=unbuffered) as process:
        os.close(writing)
        errors = wait_for_errors(process)

    assert errors == ""
    assert process.returncode == 1


def summarize(method: str, draft: float | None, score: float) -> RunSummary:
    return RunSummary(
        run="run",
        task="LaMP-3",
        method=method,
        metrics={"MAE": score},
        main_metric="MAE",
        higher_is_better=False,
        n=1,
        failed=0,
        seconds=1.0,
        references=ReferenceScores(draft, None, None, None),
    )


@pytest.mark.parametrize(
    ("summaries", "heading"),
    [
        ([summarize("rpo", 1.0, 0.5), summarize("rpo", 0.5, 0.5)], "rewrite"),
        ([summarize("rpo", 1.0, 0.5), summarize("rag-bm25", None, 0.6)], "score"),
        ([summarize("zero-shot", 1.0, 1.0)], "score"),
    ],
)
def test_answers_are_rewrites_where_all_start_from_drafts(
    summaries: list[RunSummary], heading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other_heading = {"rewrite": "score", "score": "rewrite"}[heading]

    print_summary(summaries, synthetic=False, out=Path("runs"))

    table = capsys.readouterr().out
    assert (heading in table) and (other_heading not in table)
