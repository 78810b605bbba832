"""Stage 1: supervised fine-tuning of the reflection model on structured rewriting trajectories.

Loss on the completion only, LoRA by peft, training by trl; a killed stage continues from its last checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from rpobench.rpo.prompts import Trajectory, parse_trajectory, reflection_chat
from rpobench.rpo.room import CHAT_TOKENS, Room, messages
from rpobench.rpo.training import (
    TrainingProgress,
    TrainingRow,
    load_tokenizer,
    machine_arguments,
    new_policy,
    run_to_end,
)
from rpobench.types import Chat, Message, RpobenchError

Written = tuple[TrainingRow, Trajectory]


def trainable(pairs: Sequence[Written], room: Room) -> list[Written]:
    """The rows that can be learned from: their trajectory reads back as it was written, and the whole fits `room`.

    What is left out is told on stderr.
    """
    sound = [pair for pair in pairs if parse_trajectory(pair[1].text()) == pair[1]]
    kept = [pair for pair in sound if room.holds((*_chat(pair[0]), Message("assistant", pair[1].text())))]
    for count, why in (
        (len(pairs) - len(sound), "trajectories lack a part or do not read back"),
        (len(sound) - len(kept), f"do not fit the reflection model's context of {room.context} tokens"),
    ):
        if count:
            print(f"SFT: {count} of {len(pairs)} training rows left out: {why}", file=sys.stderr)
    if not kept:
        raise RpobenchError(f"none of the {len(pairs)} training rows can be learned from: check their targets")
    return kept


def _chat(row: TrainingRow) -> Chat:
    return reflection_chat(row.task, row.example, row.draft, row.evidence)


def sft_rows(pairs: Sequence[Written]) -> Dataset:
    """Prompt and completion of every trajectory, as trl's conversational prompt-completion form."""
    return Dataset.from_list(
        [
            {
                "prompt": messages(_chat(row)),
                "completion": [{"role": "assistant", "content": trajectory.text()}],
                "chat_template_kwargs": dict(CHAT_TOKENS),
            }
            for row, trajectory in pairs
        ]
    )


def train_sft(
    data: Dataset,
    checkpoint: Path,
    work: Path,
    *,
    rank: int,
    epochs: float,
    learning_rate: float,
    batch: int,
    seed: int,
    save_steps: int = 20,
) -> SFTTrainer:
    """Train a fresh adapter on `data`, continuing in `work` where a killed training left off."""
    arguments = SFTConfig(
        output_dir=str(work),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        max_length=None,  # `trainable` left out what is too long
        train_sampling_strategy="group_by_length",
        save_steps=save_steps,
        seed=seed,
        **machine_arguments(),
    )
    trainer = SFTTrainer(
        model=new_policy(checkpoint, rank=rank, seed=seed),
        args=arguments,
        train_dataset=data,
        processing_class=load_tokenizer(checkpoint),
        callbacks=[TrainingProgress("SFT steps")],
    )
    return run_to_end(trainer, work)
