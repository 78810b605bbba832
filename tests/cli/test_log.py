"""What a run writes to stderr: times, a line a minute, figures beside the steps, and no bars of libraries."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import run_rpobench
from tqdm.auto import tqdm

from rpobench import terminal
from rpobench.cli.log import StampedStream
from rpobench.models.local.loading import silence_bars
from rpobench.terminal import show_progress

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


class Clock:
    """Stands still until somebody moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    yield clock


def test_every_line_of_a_log_has_the_time(tmp_path: Path) -> None:
    options = ("--base-model", "scripted:echo", "--limit", "4", "--method", "rag-bm25", "--task", "LaMP-3")
    result = run_rpobench("run", *options, "--out", tmp_path)

    lines = result.stderr.splitlines()
    assert any("LaMP-3 rag-bm25: 4/4" in line for line in lines)
    assert all(STAMP.match(line) for line in lines)


def test_a_fault_stands_without_the_time(tmp_path: Path) -> None:
    options = ("--base-model", "scripted:echo", "--method", "rag-bm25", "--task", "LaMP-3", "--data", tmp_path / "none")
    result = run_rpobench("run", *options, "--out", tmp_path)

    assert result.stderr.splitlines()[-1].startswith("rpobench: ")


def test_a_line_written_in_parts_has_the_time_once() -> None:
    stream = io.StringIO()
    stamped = StampedStream(stream)

    for part in ("one ", "line\nand another", "\n", "\n"):
        stamped.write(part)

    lines = stream.getvalue().splitlines()
    assert [STAMP.sub("", line) for line in lines] == ["one line", "and another", ""]
    assert len(STAMP.findall(stream.getvalue())) == 2


def test_a_step_writes_a_line_a_minute_and_its_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("step", 600) as advance:
        for _ in range(600):
            clock.seconds += 1
            advance(1)
        clock.seconds += 5

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("step: 60/600, 1.0/s, 540 s left") and lines[-1].startswith("step: 600/600")


def test_a_step_that_ends_early_says_how_far_it_came(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="early"), show_progress("step", 10) as advance:
        clock.seconds += 2
        advance(4)
        raise ValueError("early")

    assert capsys.readouterr().err == "step: 4/10, 2.0/s, 3 s left\n"


def test_a_note_stands_beside_the_steps(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("SFT steps", 2) as advance:
        clock.seconds += 1
        advance(1, "loss 2.000")
        advance(1)
        advance(0, "loss 1.500")

    assert capsys.readouterr().err == "SFT steps: 2/2, 2.0/s, 0 s left, loss 1.500\n"


def test_bars_of_libraries_are_silent_and_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    with silence_bars():
        assert list(tqdm(range(3), desc="Converting and de-quantizing GGUF tensors...")) == [0, 1, 2]
    assert capsys.readouterr().err == ""

    list(tqdm(range(3), desc="mine"))
    assert "mine" in capsys.readouterr().err
