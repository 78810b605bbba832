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

from rpobench.ranks import share
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.prompts import Form, one_line
from rpobench.rpo.room import CHAT_TOKENS, messages
from rpobench.rpo.sft import Written, row_chat
from rpobench.rpo.training import TrainingProgress, common_arguments, load_tokenizer, run_to_end, trained_policy
from rpobench.types import RpobenchError


def dpo_rows(pairs: Sequence[Written], form: Form, *, count: int, seed: int) -> Dataset:
    """`count` rows of prompt, chosen and rejected, in a seeded order that starts anew when the pairs are used up.

    A pair whose draft is no answer, or the target itself, prefers nothing and is dropped; how many is told on stderr.
    """
    unequal = [(row, one) for row, one in pairs if row.task.parse(row.draft) not in ("", row.task.parse(row.target))]
    print(f"DPO: {len(unequal)} of {len(pairs)} drafts differ from their target", file=sys.stderr)
    if not unequal:
        raise RpobenchError("rl=dpo: every draft equals its target, so there is nothing to prefer; use rl=grpo or none")
    ordered = Random(seed).sample(unequal, len(unequal))
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
    form: Form,
    checkpoint: Path,
    adapter: Path,
    work: Path,
    config: ModuleConfig,
    *,
    seed: int,
) -> DPOTrainer:
    """Train the stage-1 adapter on: `rl_steps` updates of `rl_prompts` pairs each."""
    arguments = DPOConfig(
        max_steps=config.rl_steps,
        per_device_train_batch_size=share(config.rl_prompts, "rl_prompts"),
        include_num_input_tokens_seen="non_padding",
        max_length=None,  # `trainable` left out what is too long
        learning_rate=config.rl_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=max(1, config.rl_steps // 4),
        **common_arguments(work, report_to=config.report_to, seed=seed),
    )
    trainer = DPOTrainer(
        model=trained_policy(checkpoint, adapter, seed=seed),
        args=arguments,
        train_dataset=dpo_rows(pairs, form, count=config.rl_steps * config.rl_prompts, seed=seed),
        processing_class=load_tokenizer(checkpoint),
        callbacks=[TrainingProgress("DPO steps")],
    )
    return run_to_end(trainer, work)
