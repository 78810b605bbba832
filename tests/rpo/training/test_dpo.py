"""Stage 2 by DPO: which rewrites can be preferred, what is compared, and which adapter is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from text_files import read_training_log
from training_jobs import ADAPTER_FILE, RATING, demonstrate, make_rows, run_dpo

from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training.dpo import build_dpo_dataset, select_preferences
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training_rows import Demonstration
from rpobench.types import RpobenchError

FORM = Form()


def draft_equals_target(demonstration: Demonstration) -> Demonstration:
    row = demonstration.row
    return replace(demonstration, row=replace(row, draft=row.target))


def test_dpo_compares_rewrite_and_draft_in_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = demonstrate(make_rows(4))

    preferences = select_preferences([draft_equals_target(first), *others])
    data = build_dpo_dataset(preferences, FORM, count=6, seed=0)

    assert "3 of 4 rewrites can be preferred" in capsys.readouterr().err
    assert len(data) == 6 and not any("text 0" in row["prompt"][1]["content"] for row in data)
    chosen, rejected = data[0]["chosen"][0]["content"], data[0]["rejected"][0]["content"]
    assert chosen.rsplit(" t ", 1)[0] == rejected.rsplit(" d ", 1)[0] and FORM.parse(rejected)


def test_dpo_without_a_preference_is_refused() -> None:
    (demonstration,) = demonstrate(make_rows(1))

    preferences = select_preferences([draft_equals_target(demonstration)])

    with pytest.raises(RpobenchError, match="nothing can be preferred"):
        build_dpo_dataset(preferences, FORM, count=1, seed=0)


def test_dpo_moves_the_adapter(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = demonstrate(make_rows(4))

    adapter = run_dpo(tiny_checkpoint, tmp_path, TrainingData([draft_equals_target(first), *others]), sft_adapter)

    assert "3 of 4 rewrites can be preferred" in capsys.readouterr().err
    losses = [entry["loss"] for entry in read_training_log(adapter) if "loss" in entry]
    assert len(losses) == 2 and losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert (adapter / ADAPTER_FILE).read_bytes() != (sft_adapter / ADAPTER_FILE).read_bytes()


def test_dpo_prefers_no_answer_that_contradicts_its_analysis() -> None:
    row = replace(make_rows(1, RATING)[0], draft="2", target="4")
    demonstrations = [Demonstration(row, Trajectory("gave 4", f"highest {rating} fits", "4")) for rating in (4, 5)]

    assert select_preferences(demonstrations) == demonstrations[:1]


def test_dpo_keeps_the_adapter_that_is_best_on_held_out_users(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path
) -> None:
    reversed_preferences = demonstrate([replace(row, draft=row.target, target=row.draft) for row in make_rows(2)])
    data = TrainingData(demonstrate(make_rows(4)), held_out=reversed_preferences)

    adapter = run_dpo(tiny_checkpoint, tmp_path, data, sft_adapter)

    losses = [entry["eval_loss"] for entry in read_training_log(adapter) if "eval_loss" in entry]
    assert len(losses) == 3 and min(losses) == losses[0] == pytest.approx(0.6931, abs=1e-3)
    best, start = load_file(adapter / ADAPTER_FILE), load_file(sft_adapter / ADAPTER_FILE)
    assert all(torch.equal(best[name], start[name]) for name in start)
