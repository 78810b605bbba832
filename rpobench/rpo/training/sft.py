"""Stage 1: supervised fine-tuning of the reflection model on structured rewriting trajectories.

Only completions bear a loss; the adapter is a LoRA by peft, trained by trl. A stage that was killed continues from its
last checkpoint. Some users are held out: the checkpoint with the lowest loss on them is kept, and training ends when
that loss no longer falls.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer

from rpobench.rpo.training.arguments import common_arguments
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training.log_probs import NO_LOSS, completion_logits
from rpobench.rpo.training.policy import load_tokenizer, new_policy
from rpobench.rpo.training.progress_bar import TrainingProgress
from rpobench.rpo.training.sft_data import build_sft_dataset, encode_sft_dataset
from rpobench.rpo.training.stage import best_folder, last_checkpoint, run_to_end
from rpobench.store.processes import divide_batch, is_first

SAVE_STEPS = 20  # what a kill can cost
ORDER = "order.json"  # in a checkpoint within an epoch: the order of its rows


class EpochOrder(LengthGroupedSampler):  # type: ignore[misc]  # transformers is read untyped
    """Rows of similar length together, in another random order every epoch.

    An epoch in which a training was killed goes on in the order that it had. transformers restores the random state of
    a checkpoint only after it has drawn the order; an order drawn anew would repeat some rows and leave out others.
    """

    current_order: list[int]  # of the present epoch
    resumed_order: list[int] | None = None  # of the epoch to go on with

    def __iter__(self) -> Iterator[int]:
        self.current_order = self.resumed_order or list(super().__iter__())
        self.resumed_order = None
        return iter(self.current_order)


class CompletionTrainer(SFTTrainer):  # type: ignore[misc]  # trl is read untyped
    """trl's trainer with the plain loss on completions; see `rpobench.rpo.training.log_probs`."""

    order: EpochOrder

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        bears_loss = inputs["labels"].ne(NO_LOSS)
        first_column = int(bears_loss.any(0).nonzero()[0])  # where any row bears a loss
        count = bears_loss.shape[1] - first_column

        logits = completion_logits(model, inputs["input_ids"], inputs["attention_mask"], count)
        labels = inputs["labels"][:, -count:]
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LOSS, reduction="sum")

        if num_items_in_batch is None:
            return loss / bears_loss.sum()
        return loss * self.accelerator.num_processes / num_items_in_batch  # of all processes, which average gradients

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        """Batches of similar length; those of all processes together are what one process would have had."""
        sampler = super()._get_train_sampler(train_dataset)
        self.order = EpochOrder(sampler.batch_size * self.args.world_size, lengths=sampler.lengths)

        checkpoint = last_checkpoint(Path(self.args.output_dir))
        if checkpoint and (checkpoint / ORDER).exists():
            self.order.resumed_order = json.loads((checkpoint / ORDER).read_text())
        return self.order

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if is_first() and self.state.epoch % 1:  # within an epoch; all processes draw the same order
            (Path(output_dir) / ORDER).write_text(json.dumps(self.order.current_order))


def train_sft(job: TrainingJob, data: TrainingData, work: Path) -> CompletionTrainer:
    """Train a fresh adapter on demonstrations.

    Where users are held out, the loss on theirs is measured every `evaluation_steps`. It leaves out the same answers as
    training does: else it would rise as the module learns to follow its analysis.

    Args:
        job: The settings of the training.
        data: The demonstrations to learn from, and those to measure with.
        work: The folder of checkpoints. A training that was killed continues from the last one.

    Returns:
        The trainer at the end of its training.
    """
    train_rows = build_sft_dataset(data.training, job.form)
    held_out_rows = build_sft_dataset(data.held_out, job.form, held_out=True) if data.held_out else None
    _report_wrong_conclusions(train_rows)

    callbacks: list[Any] = [TrainingProgress("SFT steps")]
    if held_out_rows is not None:
        callbacks.append(BestAdapter(best_folder(work), "eval_loss", higher=False, patience=job.config.patience))

    trainer = CompletionTrainer(
        model=new_policy(job.checkpoint, rank=job.config.lora_rank, seed=job.seed),
        args=sft_arguments(job, work, row_count=len(train_rows), evaluates=held_out_rows is not None),
        train_dataset=encode_sft_dataset(train_rows, job.encoder),
        eval_dataset=encode_sft_dataset(held_out_rows, job.encoder) if held_out_rows else None,
        processing_class=load_tokenizer(job.checkpoint),
        callbacks=callbacks,
    )
    run_to_end(trainer, work)
    return trainer


def _report_wrong_conclusions(train_rows: Dataset) -> None:
    wrong_count = sum(lead != "" for lead in train_rows["lead"])

    if wrong_count:
        print(
            f"SFT: {wrong_count} of {len(train_rows)} training trajectories reach a wrong conclusion; "
            "only their analysis is trained on",
            file=sys.stderr,
        )


def evaluation_steps(epoch_steps: int) -> int:
    """Choose how often the held-out loss is measured. Each measurement reads all held-out rows.

    Args:
        epoch_steps: The steps of one epoch.

    Returns:
        The steps between two measurements: a whole epoch where that is short, `SAVE_STEPS`, or a quarter of a long one.
    """
    short_epoch = min(SAVE_STEPS, epoch_steps)
    quarter = math.ceil(epoch_steps / 4)

    return max(short_epoch, quarter)


def sft_arguments(job: TrainingJob, work: Path, *, row_count: int, evaluates: bool) -> SFTConfig:
    """Set up trl's arguments of stage 1.

    Args:
        job: The settings of the training.
        work: The folder of checkpoints.
        row_count: How many rows an epoch has.
        evaluates: Whether users are held out to measure with.

    Returns:
        The arguments of the trainer.
    """
    config = job.config
    epoch_steps = math.ceil(row_count / config.sft_batch)

    return SFTConfig(
        num_train_epochs=config.sft_epochs,
        per_device_train_batch_size=divide_batch(config.sft_batch, "sft_batch"),
        per_device_eval_batch_size=divide_batch(config.sft_batch, "sft_batch"),
        learning_rate=config.sft_learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        max_length=None,  # `select_learnable` left out what is too long
        train_sampling_strategy="group_by_length",
        include_num_input_tokens_seen="non_padding",
        save_steps=min(SAVE_STEPS, epoch_steps),
        eval_strategy="steps" if evaluates else "no",
        eval_steps=evaluation_steps(epoch_steps),
        **common_arguments(work, report_to=config.report_to, seed=job.seed),
    )
