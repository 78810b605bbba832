"""The loss and the log-probabilities of completions equal what trl computes over whole rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_jobs import TWEET, demonstrate, make_job
from trl import GRPOTrainer, SFTTrainer

from rpobench.rpo.form import Form
from rpobench.rpo.training.grpo import VaryingGroupsTrainer, build_grpo_dataset, grpo_arguments
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.log_probs import log_probs_and_entropies
from rpobench.rpo.training.policy import new_policy
from rpobench.rpo.training.sft import CompletionTrainer, train_sft
from rpobench.rpo.training_rows import TrainingRow
from rpobench.types import Example

ANSWER_BY_INPUT_LENGTH = {3: "short", 9: "a longer answer", 5: "fine", 14: "many more words than that"}
ROWS = [
    TrainingRow(TWEET, Example("1", "u", "x " * length), answer, "", ())
    for length, answer in ANSWER_BY_INPUT_LENGTH.items()
]
DATA = TrainingData(demonstrate(ROWS))


def test_the_loss_of_stage_one_is_trls(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(name: str) -> list[float]:
        job = make_job(tiny_checkpoint, tmp_path / name, sft_epochs=3.0, sft_batch=4)
        trainer = train_sft(job, DATA, job.folder)
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    monkeypatch.setattr("rpobench.rpo.training.arguments.mixed_precision", lambda: False)
    losses = train("rpobench")
    monkeypatch.setattr(CompletionTrainer, "compute_loss", SFTTrainer.compute_loss)
    losses_of_trl = train("trl")

    assert losses == pytest.approx(losses_of_trl, rel=1e-4)
    assert losses[0] > losses[-1]


def test_the_log_probabilities_of_stage_two_are_trls(tiny_checkpoint: Path, tmp_path: Path) -> None:
    def reward(completions: list[Any], **kwargs: Any) -> list[float]:
        return [0.0] * len(completions)

    trainer = VaryingGroupsTrainer(
        model=new_policy(tiny_checkpoint, rank=4, seed=0),
        reward_funcs=reward,
        args=grpo_arguments(make_job(tiny_checkpoint, tmp_path), tmp_path, held_out_count=0),
        train_dataset=build_grpo_dataset(ROWS, Form()),
    )
    token_ids = torch.arange(30).view(3, 10) % 40
    mask = torch.ones_like(token_ids)
    mask[0, :3] = 0
    arguments = (trainer.model, token_ids, mask, 4)
    options = {"batch_size": 2, "compute_entropy": True}

    with torch.no_grad():
        log_probs, entropies, _ = trainer._get_per_token_logps_and_entropies(*arguments, **options)
        of_trl = GRPOTrainer._get_per_token_logps_and_entropies(trainer, *arguments, **options)

    tolerance = 1e-4 if not trainer.args.bf16 else 2e-2
    assert torch.allclose(log_probs, of_trl[0].float(), atol=tolerance)
    assert torch.allclose(entropies, of_trl[1].float(), atol=tolerance)


def test_entropy_is_of_the_distribution_and_bears_no_gradient() -> None:
    logits = torch.tensor([[[0.0, 0.0], [0.0, 50.0]]], requires_grad=True)
    tokens = torch.tensor([[0, 1]])

    log_probs, entropy = log_probs_and_entropies(logits, tokens, entropies=True)

    assert log_probs[0].tolist() == pytest.approx([-0.693147, 0.0], abs=1e-5)
    assert entropy is not None and entropy[0].tolist() == pytest.approx([0.693147, 0.0], abs=1e-5)
    assert log_probs.requires_grad and not entropy.requires_grad
    assert log_probs_and_entropies(logits, tokens, entropies=False)[1] is None
