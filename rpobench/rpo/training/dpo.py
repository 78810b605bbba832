"""Stage 2, the cheaper way: DPO (arXiv 2305.18290), which prefers the rewrite to the draft.

Both sides of a preference are trajectories with the same analysis, so the module learns which answer is better and not
the form. The reference is the stage-1 policy, which trl keeps as a frozen copy of the adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from rpobench.models.local.chat_tokens import ChatEncoder, read_messages, template_messages
from rpobench.rpo.form import Form, one_line
from rpobench.rpo.training.arguments import common_arguments, refinement_evaluation_steps
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training.policy import load_tokenizer, trained_policy
from rpobench.rpo.training.progress_bar import TrainingProgress
from rpobench.rpo.training.stage import best_folder, run_to_end
from rpobench.rpo.training_rows import Demonstration
from rpobench.rpo.trajectories.analysis import reaches_wrong_conclusion
from rpobench.store.processes import divide_batch
from rpobench.types import RpobenchError


def select_preferences(demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
    """Select the demonstrations whose rewrite can be preferred to their draft. How many there are is said on stderr.

    The draft must be an answer and differ from the target. The rewrite must follow from its analysis: else the chosen
    side would teach what stage 1 leaves out.

    Args:
        demonstrations: Training rows with their trajectories.

    Returns:
        Those that prefer something, in order.
    """
    preferences = []
    for demonstration in demonstrations:
        row, task = demonstration.row, demonstration.row.task
        draft_differs = task.parse(row.draft) not in ("", task.parse(row.target))
        if draft_differs and not reaches_wrong_conclusion(task, demonstration.trajectory):
            preferences.append(demonstration)

    print(f"DPO: {len(preferences)} of {len(demonstrations)} rewrites can be preferred to their draft", file=sys.stderr)
    return preferences


def build_dpo_dataset(preferences: Sequence[Demonstration], form: Form, *, count: int, seed: int) -> Dataset:
    """Build trl's conversational preference data.

    Args:
        preferences: Demonstrations whose rewrite is preferred to their draft.
        form: What the module reads and writes.
        count: How many rows to build.
        seed: What the order of the rows depends on.

    Returns:
        `count` rows with `prompt`, `chosen` and `rejected`. Their order starts anew when the preferences are used up.

    Raises:
        RpobenchError: There are no preferences.
    """
    if not preferences:
        raise RpobenchError(
            "rl=dpo: no draft differs from its target, so nothing can be preferred; use rl=grpo or none"
        )

    shuffled = Random(seed).sample(preferences, len(preferences))
    rows = []
    for index in range(count):
        preference = shuffled[index % len(shuffled)]
        row, trajectory = preference.row, preference.trajectory
        with_draft = replace(trajectory, rewrite=one_line(row.draft))

        rows.append(
            {
                "prompt": template_messages(row.build_chat(form)),
                "chosen": [{"role": "assistant", "content": form.render(trajectory)}],
                "rejected": [{"role": "assistant", "content": form.render(with_draft)}],
            }
        )

    return Dataset.from_list(rows)


def encode_dpo_dataset(dataset: Dataset, encoder: ChatEncoder) -> Dataset:
    """Add the tokens that are compared: both answers follow the prompt as prediction asks it.

    Args:
        dataset: Rows of `build_dpo_dataset`.
        encoder: Writes the chats of the model that is trained.

    Returns:
        The same rows with `prompt_ids`, `chosen_ids` and `rejected_ids`.
    """

    def encode(row: dict[str, Any]) -> dict[str, list[int]]:
        chat = read_messages(row["prompt"])
        prompt, chosen = encoder.encode_turn(chat, row["chosen"][0]["content"])
        _, rejected = encoder.encode_turn(chat, row["rejected"][0]["content"])
        return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}

    return dataset.map(encode)


class EncodedPreferencesTrainer(DPOTrainer):  # type: ignore[misc]  # trl is read untyped
    """trl's trainer on preferences that are tokens already."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


def train_dpo(job: TrainingJob, data: TrainingData, sft_adapter: Path, work: Path) -> DPOTrainer:
    """Train the stage-1 adapter on: `rl_steps` updates of `rl_prompts` preferences each.

    The adapter with the lowest loss on held-out users is kept, be it the one of stage 1.

    Args:
        job: The settings of the training.
        data: The demonstrations to learn from, and those to measure with.
        sft_adapter: The folder of the stage-1 adapter.
        work: The folder of checkpoints. A training that was killed continues from the last one.

    Returns:
        The trainer at the end of its training.

    Raises:
        RpobenchError: No rewrite can be preferred to its draft.
    """
    config = job.config
    preferences = select_preferences(data.training)
    held_out = select_preferences(data.held_out)

    callbacks: list[Any] = [TrainingProgress("DPO steps")]
    held_out_rows = None
    if held_out:
        callbacks.append(BestAdapter(best_folder(work), "eval_loss", higher=False))
        held_out_rows = build_dpo_dataset(held_out, job.form, count=len(held_out), seed=job.seed)
        held_out_rows = encode_dpo_dataset(held_out_rows, job.encoder)
    train_rows = build_dpo_dataset(preferences, job.form, count=config.rl_steps * config.rl_prompts, seed=job.seed)

    trainer = EncodedPreferencesTrainer(
        model=trained_policy(job.checkpoint, sft_adapter, seed=job.seed),
        args=dpo_arguments(job, work, evaluates=bool(held_out)),
        train_dataset=encode_dpo_dataset(train_rows, job.encoder),
        eval_dataset=held_out_rows,
        processing_class=load_tokenizer(job.checkpoint),
        callbacks=callbacks,
    )
    run_to_end(trainer, work)
    return trainer


def dpo_arguments(job: TrainingJob, work: Path, *, evaluates: bool) -> DPOConfig:
    """Set up trl's arguments of DPO.

    Args:
        job: The settings of the training.
        work: The folder of checkpoints.
        evaluates: Whether users are held out to measure with.

    Returns:
        The arguments of the trainer.
    """
    config = job.config

    return DPOConfig(
        max_steps=config.rl_steps,
        per_device_train_batch_size=divide_batch(config.rl_prompts, "rl_prompts"),
        per_device_eval_batch_size=divide_batch(config.rl_prompts, "rl_prompts"),
        include_num_input_tokens_seen="non_padding",
        max_length=None,  # `select_learnable` left out what is too long
        learning_rate=config.rl_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=max(1, config.rl_steps // 4),
        eval_strategy="steps" if evaluates else "no",
        eval_on_start=evaluates,
        eval_steps=refinement_evaluation_steps(config.rl_steps),
        **common_arguments(work, report_to=config.report_to, seed=job.seed),
    )
