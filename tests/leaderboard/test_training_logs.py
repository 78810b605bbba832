"""Training curves: which figures of a fit's logs are read and drawn, and logs that are not whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rpobench.leaderboard.html.panels import FITS, curves
from rpobench.leaderboard.report_command import LOGGED, training_logs

from rpobench.types import RpobenchError


def test_every_sign_that_grpo_logs_is_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    entry = dict.fromkeys(LOGGED, 0.5)
    (folder / "grpo.jsonl").write_text("".join(json.dumps({"step": step, **entry}) + "\n" for step in (1, 2)))
    drawn = curves({"f": training_logs(tmp_path), "untrained": {}})
    assert [title for title, _ in drawn["f"]] == [f"grpo {name}" for name in LOGGED.values()] and len(drawn) == 1
    assert all(svg.count("<circle") == 2 and 'class="mark"' not in svg for _, svg in drawn["f"]), "dots, no row numbers"


def test_of_many_fits_those_of_two_stages_are_drawn() -> None:
    points = [(1.0, 0.5), (2.0, 0.4)]
    fits = {f"sft {place}": {"sft loss": points} for place in range(FITS)}
    drawn = curves({**fits, "rpo": {"sft loss": points, "grpo reward": points}})
    assert len(drawn) == FITS and next(iter(drawn)) == "rpo"


def test_training_logs_are_read_by_stage_and_figure(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    log = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "reward": 0.5}, {"train_runtime": 3}]
    (folder / "sft.jsonl").write_text("".join(json.dumps(one) + "\n" for one in log))
    (folder / "trajectories.jsonl").write_text('{"example": "a"}\n')
    assert training_logs(tmp_path) == {"sft loss": [(1, 2.0), (2, 1.0)], "sft reward": [(2, 0.5)]}
    assert training_logs(tmp_path / "none") == {}


def test_a_training_that_diverged_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    log = tmp_path / "checkpoint" / "sft.jsonl"
    log.write_text(
        "".join(f'{{"step": {step}, "loss": {value}}}\n' for step, value in ((1, "NaN"), (2, 1.0), (3, "Infinity")))
    )
    assert training_logs(tmp_path) == {"sft loss": [(2, 1.0)]}
    log.write_text('{"step": 1}\n{"st')
    with pytest.raises(RpobenchError, match=r"sft\.jsonl:2: is no line of a training log"):
        training_logs(tmp_path)
