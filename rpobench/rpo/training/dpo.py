"""Stage 2, the cheaper way: DPO (arXiv 2305.18290) on (rewrite, draft) pairs.

Both sides are trajectories with the same analysis, so that the module learns which answer is better and not the form.
The reference is the stage-1 policy, which trl keeps as a frozen copy of the adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import messages
from rpobench.rpo.form import Form, one_line
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.common import (
    TrainingProgress,
    best_folder,
    common_arguments,
    load_tokenizer,
    run_to_end,
    trained_policy,
)
from rpobench.rpo.training.sft import Written, row_chat
from rpobench.rpo.trajectories.rules import contradicts_itself
from rpobench.store.processes import share
from rpobench.types import RpobenchError


def preferences(pairs: Sequence[Written]) -> list[Written]:
    """The pairs that prefer something: their draft is an answer and not the target, and the rewrite follows from its
    analysis (or the chosen side would teach what stage 1 leaves out). How many is told on stderr."""
    found = [
        (row, one)
        for row, one in pairs
        if row.task.parse(row.draft) not in ("", row.task.parse(row.target)) and not contradicts_itself(row.task, one)
    ]
    print(f"DPO: {len(found)} of {len(pairs)} rewrites can be preferred to their draft", file=sys.stderr)
    return found


def dpo_rows(preferred: Sequence[Written], form: Form, *, count: int, seed: int) -> Dataset:
    """`count` rows of prompt, chosen and rejected, in a seeded order that starts anew when the pairs are used up."""
    if not preferred:
        raise RpobenchError(
            "rl=dpo: no draft differs from its target, so nothing can be preferred; use rl=grpo or none"
        )
    ordered = Random(seed).sample(preferred, len(preferred))
    return Dataset.from_list(
        [
            {
                "prompt": messages(row_chat(row, form)),
                "chosen": [{"role": "assistant", "content": form.text(one)}],
                "rejected": [{"role": "assistant", "content": form.text(replace(one, rewrite=one_line(row.draft)))}],
                "chat_template_kwargs": dict(CHAT_TOKENS),
            }
            for row, one in (ordered[place % len(ordered)] for place in range(count))
        ]
    )


def train_dpo(
    pairs: Sequence[Written],
    held_out: Sequence[Written],
    form: Form,
    checkpoint: Path,
    adapter: Path,
    work: Path,
    config: ModuleConfig,
    *,
    seed: int,
) -> DPOTrainer:
    """Train the stage-1 adapter on: `rl_steps` updates of `rl_prompts` pairs each.

    The adapter with the lowest loss on `held_out` is kept, be it the one of stage 1.
    """
    seen, unseen = preferences(pairs), preferences(held_out)
    trainer = DPOTrainer(
        model=trained_policy(checkpoint, adapter, seed=seed),
        args=_arguments(work, config, evaluates=bool(unseen), seed=seed),
        train_dataset=dpo_rows(seen, form, count=config.rl_steps * config.rl_prompts, seed=seed),
        eval_dataset=dpo_rows(unseen, form, count=len(unseen), seed=seed) if unseen else None,
        processing_class=load_tokenizer(checkpoint),
        callbacks=[
            TrainingProgress("DPO steps"),
            *([BestAdapter(best_folder(work), "eval_loss", higher=False)] if unseen else []),
        ],
    )
    return run_to_end(trainer, work)


def _arguments(work: Path, config: ModuleConfig, *, evaluates: bool, seed: int) -> DPOConfig:
    return DPOConfig(
        max_steps=config.rl_steps,
        per_device_train_batch_size=share(config.rl_prompts, "rl_prompts"),
        per_device_eval_batch_size=share(config.rl_prompts, "rl_prompts"),
        include_num_input_tokens_seen="non_padding",
        max_length=None,  # `trainable` left out what is too long
        learning_rate=config.rl_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=max(1, config.rl_steps // 4),
        eval_strategy="steps" if evaluates else "no",
        eval_on_start=evaluates,
        eval_steps=max(1, config.rl_steps // 2),
        **common_arguments(work, report_to=config.report_to, seed=seed),
    )
