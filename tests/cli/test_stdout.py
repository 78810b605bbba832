"""Where stdout cannot take what is printed, a command says so in one line or encodes it; it never shows a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpobench.cli.summary import print_summary
from rpobench.runs.summary import ReferenceScores, RunSummary

RUN = ("run", "--base-model", "scripted:echo", "--limit", "2", "--method", "zero-shot", "--task", "LaMP-3")


@contextmanager
def started(*arguments: str, stdout: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    code = "from rpobench.cli.main import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, **more}
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment) as run:
        yield run


def told(run: subprocess.Popen[str]) -> str:
    said = run.communicate(timeout=120)[1]
    assert "Traceback" not in said and "Exception" not in said
    return said


def test_signs_that_stdout_cannot_encode_are_escaped(tmp_path: Path) -> None:
    with started(*RUN, "--out", str(tmp_path), stdout=subprocess.PIPE, PYTHONIOENCODING="ascii") as run:
        out, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "MAE \\u2193" in out and "Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [("list", "tasks"), ("--version",), ("--help",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_one_line(arguments: tuple[str, ...], unbuffered: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with started(*arguments, stdout=full, PYTHONUNBUFFERED=unbuffered) as run:
        assert told(run) == "rpobench: stdout: No space left on device: make room there and run again\n"
    os.close(full)
    assert run.returncode == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_fault(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started("list", "tasks", stdout=writing, PYTHONUNBUFFERED=unbuffered) as run:
        os.close(writing)
        assert told(run) == ""
    assert run.returncode == 1


def row(method: str, draft: float | None, score: float) -> RunSummary:
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
    ("rows", "name"),
    [
        ([row("rpo", 1.0, 0.5), row("rpo", 0.5, 0.5)], "rewrite"),
        ([row("rpo", 1.0, 0.5), row("rag-bm25", None, 0.6)], "score"),
        ([row("zero-shot", 1.0, 1.0)], "score"),
    ],
)
def test_answers_are_rewrites_where_all_start_from_drafts(
    rows: list[RunSummary], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(rows, synthetic=False, out=Path("runs"))
    heads = capsys.readouterr().out
    assert (name in heads) and ({"rewrite": "score", "score": "rewrite"}[name] not in heads)
