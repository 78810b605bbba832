"""Stage 1: supervised fine-tuning of the reflection model on structured rewriting trajectories.

Loss on the completion only, LoRA by peft, training by trl; a killed stage continues from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from rpobench.rpo.prompts import Trajectory, reflection_chat
from rpobench.rpo.training import (
    TrainingProgress,
    TrainingRow,
    load_tokenizer,
    machine_arguments,
    messages,
    new_policy,
    run_to_end,
)


def sft_rows(rows: Sequence[TrainingRow], trajectories: Sequence[Trajectory]) -> Dataset:
    """Prompt and completion of every trajectory, as trl's conversational prompt-completion form."""
    return Dataset.from_list(
        [
            {
                "prompt": messages(reflection_chat(row.task, row.example, row.draft, row.evidence)),
                "completion": [{"role": "assistant", "content": trajectory.text()}],
            }
            for row, trajectory in zip(rows, trajectories, strict=True)
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
        max_length=None,
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
