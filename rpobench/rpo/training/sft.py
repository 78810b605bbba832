"""Stage 1: supervised fine-tuning of the reflection model on structured rewriting trajectories.

Loss on the completion only, LoRA by peft, training by trl; a killed stage continues from its last checkpoint. Some
users are held out: the checkpoint with the lowest loss on them is kept, and training ends where it no longer falls.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import Room, messages
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.rows import TrainingRow
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.common import (
    IGNORED,
    TrainingProgress,
    best_folder,
    common_arguments,
    last_checkpoint,
    load_tokenizer,
    new_policy,
    run_to_end,
)
from rpobench.rpo.training.log_probs import completion_logits
from rpobench.rpo.trajectories.rules import contradicts_itself
from rpobench.store.processes import is_first, share
from rpobench.types import Chat, Message, RpobenchError

SAVE_STEPS = 20  # what a kill can cost
ORDER = "order.json"  # in a checkpoint within an epoch: the order of its rows

Written = tuple[TrainingRow, Trajectory]


def trainable(pairs: Sequence[Written], form: Form, room: Room) -> list[Written]:
    """The rows that can be learned from: their trajectory reads back as it was written, and the whole fits `room`.

    What is left out is told on stderr.
    """
    sound = [pair for pair in pairs if form.parse(form.text(pair[1])) == pair[1]]
    kept = [pair for pair in sound if room.holds((*row_chat(pair[0], form), Message("assistant", form.text(pair[1]))))]
    for count, why in (
        (len(pairs) - len(sound), "trajectories lack a part or do not read back"),
        (len(sound) - len(kept), f"do not fit the reflection model's context of {room.context} tokens"),
    ):
        if count:
            print(f"SFT: {count} of {len(pairs)} training rows left out: {why}", file=sys.stderr)
    if not kept:
        raise RpobenchError(f"none of the {len(pairs)} training rows can be learned from: check their targets")
    return kept


def row_chat(row: TrainingRow, form: Form) -> Chat:
    """What the module reads of a training row."""
    return form.chat(row.task, row.example, row.draft, row.evidence)


def sft_rows(pairs: Sequence[Written], form: Form, *, held_out: bool = False) -> Dataset:
    """Prompt and completion of every trajectory, as trl's conversational prompt-completion form.

    `lead` is all that a trajectory that contradicts itself teaches, its text up to the answer; empty for the others.
    Only reasoning that leads to the right answer may teach answers (after STaR, arXiv 2203.14465, section 3). Where all
    contradict themselves there is nothing else to learn from; what is held out to measure with has no such need.
    """
    against = [contradicts_itself(row.task, trajectory) for row, trajectory in pairs]
    return Dataset.from_list(
        [
            {
                "prompt": messages(row_chat(row, form)),
                "completion": [{"role": "assistant", "content": form.text(trajectory)}],
                "lead": form.lead(trajectory) if silent and (held_out or not all(against)) else "",
                "chat_template_kwargs": dict(CHAT_TOKENS),
            }
            for (row, trajectory), silent in zip(pairs, against, strict=True)
        ]
    )


def answers_left_out(data: Dataset, tokenizer: Any) -> Dataset:
    """Tokenized rows of `sft_rows`; where a row has a `lead`, what comes after it bears no loss."""

    def led(row: dict[str, Any]) -> dict[str, Any]:
        if not row["lead"]:
            return {}
        chat = [*row["prompt"], {"role": "assistant", "content": row["lead"]}]
        count = len(tokenizer.apply_chat_template(chat, continue_final_message=True, return_dict=False, **CHAT_TOKENS))
        return {"labels": row["labels"][:count] + [IGNORED] * (len(row["labels"]) - count)}

    return data.map(led)


class EpochOrder(LengthGroupedSampler):  # type: ignore[misc]  # transformers is read untyped
    """Rows of similar length together, in another random order every epoch.

    An epoch that a killed training had begun goes on in the order it had: drawn from the random state of a checkpoint
    within it, which transformers restores only after it has drawn, it would repeat some rows and leave out others.
    """

    drawn: list[int]  # the present epoch's order
    begun: list[int] | None = None  # the order of the epoch to go on with

    def __iter__(self) -> Iterator[int]:
        self.drawn, self.begun = self.begun or list(super().__iter__()), None
        return iter(self.drawn)


class CompletionTrainer(SFTTrainer):  # type: ignore[misc]  # trl is read untyped
    """trl's trainer with the plain loss on completions; see `rpobench.rpo.training.log_probs`."""

    order: EpochOrder

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        learned = inputs["labels"].ne(IGNORED)
        count = int(learned.shape[1] - learned.any(0).nonzero()[0])  # from the first column that any row learns
        logits = completion_logits(model, inputs["input_ids"], inputs["attention_mask"], count)
        labels = inputs["labels"][:, -count:]
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        if num_items_in_batch is None:
            return loss / learned.sum()
        return loss * self.accelerator.num_processes / num_items_in_batch  # of all processes, which average gradients

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        """Batches of similar length; those of all processes together are what one process would have had."""
        made = super()._get_train_sampler(train_dataset)
        self.order = EpochOrder(made.batch_size * self.args.world_size, lengths=made.lengths)
        begun = last_checkpoint(Path(self.args.output_dir))
        if begun and (begun / ORDER).exists():
            self.order.begun = json.loads((begun / ORDER).read_text())
        return self.order

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if is_first() and self.state.epoch % 1:  # within an epoch; all processes draw the same order
            (Path(output_dir) / ORDER).write_text(json.dumps(self.order.drawn))


def train_sft(
    data: Dataset, held_out: Dataset | None, checkpoint: Path, work: Path, config: ModuleConfig, *, seed: int
) -> CompletionTrainer:
    """Train a fresh adapter on `data`, continuing in `work` where a killed training left off.

    The loss on `held_out` is measured every `evaluation_steps`.
    """
    callbacks: list[Any] = [TrainingProgress("SFT steps")]
    if held_out is not None:
        callbacks.append(BestAdapter(best_folder(work), "eval_loss", higher=False, patience=config.patience))
    trainer = CompletionTrainer(
        model=new_policy(checkpoint, rank=config.lora_rank, seed=seed),
        args=_arguments(
            work, config, math.ceil(len(data) / config.sft_batch), evaluates=held_out is not None, seed=seed
        ),
        train_dataset=data,
        eval_dataset=held_out,
        processing_class=load_tokenizer(checkpoint),
        callbacks=callbacks,
    )
    trainer.train_dataset = answers_left_out(trainer.train_dataset, trainer.processing_class)
    if held_out is not None:  # measured as trained, or the loss would rise as the module learns to follow its analysis
        trainer.eval_dataset = answers_left_out(trainer.eval_dataset, trainer.processing_class)
    silent = sum(map(bool, data["lead"]))
    if silent:
        print(
            f"SFT: {silent} of {len(data)} trajectories teach no answer: they contradict their target", file=sys.stderr
        )
    run_to_end(trainer, work)
    return trainer


def evaluation_steps(epoch: int) -> int:
    """Steps between two measurements of the held-out loss, for an epoch of that many steps: the whole of a short one,
    `SAVE_STEPS`, or a quarter of a long one, since each reads all held-out rows."""
    return max(min(SAVE_STEPS, epoch), math.ceil(epoch / 4))


def _arguments(work: Path, config: ModuleConfig, epoch: int, *, evaluates: bool, seed: int) -> SFTConfig:
    return SFTConfig(
        num_train_epochs=config.sft_epochs,
        per_device_train_batch_size=share(config.sft_batch, "sft_batch"),
        per_device_eval_batch_size=share(config.sft_batch, "sft_batch"),
        learning_rate=config.sft_learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        max_length=None,  # `trainable` left out what is too long
        train_sampling_strategy="group_by_length",
        include_num_input_tokens_seen="non_padding",
        save_steps=min(SAVE_STEPS, epoch),
        eval_strategy="steps" if evaluates else "no",
        eval_steps=evaluation_steps(epoch),
        **common_arguments(work, report_to=config.report_to, seed=seed),
    )
