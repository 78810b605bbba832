"""A stage on disk: it is not repeated, survives a kill, and says in one line that the disk is full."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors import SafetensorError
from text_files import read_training_log
from training_jobs import ADAPTER_FILE, demonstrate, make_rows, make_rows_of_two_tasks, run_sft

from rpobench.rpo.config import RPOConfig
from rpobench.rpo.method import RPO
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.stage import last_checkpoint, run_stage
from rpobench.types import RpobenchError


def test_a_finished_stage_is_not_trained_again(tiny_checkpoint: Path, tmp_path: Path) -> None:
    data = TrainingData(demonstrate(make_rows_of_two_tasks(8)))
    adapter = run_sft(tiny_checkpoint, tmp_path, data, sft_epochs=2.0)

    def refuse(work: Path) -> Any:
        raise AssertionError("trained again")

    assert run_stage(tmp_path, refuse) == adapter


@pytest.mark.parametrize("knobs", [{"sft_epochs": 8, "patience": 1, "sft_learning_rate": 50.0}, {"sft_epochs": 1.5}])
def test_a_stage_that_ended_is_not_trained_on_after_a_kill(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knobs: dict[str, Any]
) -> None:
    demonstrations = demonstrate(make_rows(6))
    data = TrainingData(demonstrations, demonstrations[4:] if "patience" in knobs else [])

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    uninterrupted = run_sft(tiny_checkpoint, tmp_path / "uninterrupted", data, **knobs)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rpobench.rpo.training.stage._put_in_place", kill)
        run_sft(tiny_checkpoint, tmp_path / "killed", data, **knobs)
    resumed = run_sft(tiny_checkpoint, tmp_path / "killed", data, **knobs)

    last_step = read_training_log(uninterrupted)[-1]["step"]
    assert last_step < 24, "the loss on held-out users must end the eight epochs early"
    assert (resumed / ADAPTER_FILE).read_bytes() == (uninterrupted / ADAPTER_FILE).read_bytes()
    assert read_training_log(resumed)[-1]["step"] == last_step


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step, state in ((2, "{}"), (10, '{"global_st')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-12").mkdir()

    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_a_full_disk_in_a_stage_is_one_line(tmp_path: Path) -> None:
    def fill_disk(work: Path) -> Any:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    def fail_otherwise(work: Path) -> Any:
        raise RuntimeError("shape")

    with pytest.raises(RpobenchError, match=r"No space left on device .*make room there and run again"):
        run_stage(tmp_path, fill_disk)
    with pytest.raises(RuntimeError, match="shape"):
        run_stage(tmp_path, fail_otherwise)


def test_the_reports_of_a_stage_survive_it(tmp_path: Path) -> None:
    def train(work: Path) -> Any:
        (work / "runs" / "now").mkdir(parents=True)
        (work / "runs" / "now" / "events").write_text("loss")
        return SimpleNamespace(
            model=SimpleNamespace(save_pretrained=lambda path, **_: Path(path).mkdir(exist_ok=True)),
            state=SimpleNamespace(log_history=[]),
        )

    adapter = run_stage(tmp_path / "sft", train)
    assert (adapter / "runs" / "now" / "events").read_text() == "loss"

    module = RPO(RPOConfig(), adapter=adapter)
    module._work_folder = tmp_path
    (tmp_path / "trajectories.jsonl").write_text("")
    module.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "runs" / "sft" / "now" / "events").read_text() == "loss"
    assert not (tmp_path / "saved" / "adapter" / "runs").exists()
