"""Training curves: which figures of a fit's logs are read and drawn, and logs that are not whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rpobench.leaderboard.html.panels import MOST_FITS, TRAINING_FIGURES, training_curves

from rpobench.store.training_logs import LoggedStep, read_training_logs
from rpobench.types import RpobenchError

LOSSES = [LoggedStep(1, {"loss": 0.5}), LoggedStep(2, {"loss": 0.4})]
REWARDS = [LoggedStep(1, {"reward": 0.5}), LoggedStep(2, {"reward": 0.4})]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    return folder


def test_every_sign_that_grpo_logs_is_drawn(checkpoint: Path) -> None:
    figures = dict.fromkeys(TRAINING_FIGURES, 0.5)
    lines = [json.dumps({"step": step, **figures}) + "\n" for step in (1, 2)]
    (checkpoint / "grpo.jsonl").write_text("".join(lines))

    curves = training_curves({"f": read_training_logs(checkpoint.parent), "untrained": {}})

    assert [curve.title for curve in curves["f"]] == [f"grpo {name}" for name in TRAINING_FIGURES.values()] and len(
        curves
    ) == 1
    for curve in curves["f"]:
        assert curve.svg.count("<circle") == 2 and 'class="mark"' not in curve.svg, "dots, no row numbers"


def test_of_many_fits_those_of_two_stages_are_drawn() -> None:
    fits = {f"sft {number}": {"sft": LOSSES} for number in range(MOST_FITS)}

    curves = training_curves({**fits, "rpo": {"sft": LOSSES, "grpo": REWARDS}})

    assert len(curves) == MOST_FITS and next(iter(curves)) == "rpo"


def test_training_logs_are_read_by_stage_and_figure(checkpoint: Path, tmp_path: Path) -> None:
    log = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "reward": 0.5}, {"train_runtime": 3}]
    (checkpoint / "sft.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    (checkpoint / "trajectories.jsonl").write_text('{"example": "a"}\n')

    assert read_training_logs(tmp_path) == {
        "sft": [LoggedStep(1, {"loss": 2.0}), LoggedStep(2, {"loss": 1.0, "reward": 0.5})]
    }
    assert read_training_logs(tmp_path / "none") == {}


def test_a_training_that_diverged_is_drawn_as_far_as_it_goes(checkpoint: Path, tmp_path: Path) -> None:
    log = checkpoint / "sft.jsonl"
    lines = [f'{{"step": {step}, "loss": {loss}}}\n' for step, loss in ((1, "NaN"), (2, 1.0), (3, "Infinity"))]
    log.write_text("".join(lines))

    steps = read_training_logs(tmp_path)["sft"]

    assert [(step.step, step.figures["loss"]) for step in steps if step.figures] == [(2, 1.0)]
    log.write_text('{"step": 1}\n{"st')
    with pytest.raises(RpobenchError, match=r"sft\.jsonl:2: is no line of a training log"):
        read_training_logs(tmp_path)
