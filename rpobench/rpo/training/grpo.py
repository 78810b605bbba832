"""Stage 2: GRPO on the task's own per-example score, in the order of the curriculum.

KL is to the stage-1 policy, which trl keeps as a frozen copy of the adapter. The reward on held-out users is measured
at the start, half-way and at the end: the best of these adapters is kept, so a collapse costs time and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import messages
from rpobench.rpo.form import Form
from rpobench.rpo.rows import TrainingRow
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.common import (
    TrainingProgress,
    best_folder,
    common_arguments,
    load_tokenizer,
    run_to_end,
    trained_policy,
)
from rpobench.rpo.training.curriculum import curriculum
from rpobench.rpo.training.log_probs import completion_logits, log_probs_and_entropies
from rpobench.rpo.training.reward import reward
from rpobench.rpo.training.sft import row_chat
from rpobench.store.processes import processes, share

ROUNDING = 0.01  # advantages of equal rewards are 0 but for float32, up to 1e-3; those of unequal ones are about 1
HELD_OUT = 16  # prompts at most that an evaluation reads: each costs a completion


class VaryingGroupsTrainer(GRPOTrainer):  # type: ignore[misc]  # trl is read untyped
    """GRPO that passes over groups whose completions all earn the same: they would train on the KL alone."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.model.training:
            groups = batch["advantages"].view(-1, self.num_generations)
            varies = groups.abs().amax(1).gt(ROUNDING).repeat_interleave(self.num_generations)
            batch["completion_mask"] = batch["completion_mask"] * varies.unsqueeze(1)
            batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        return batch

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **unused: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """trl's own, but for completions alone; see `log_probs`. (What is unused is for images.)"""
        scored, entropies = [], []
        size = batch_size or len(input_ids)
        for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True):
            with self.accelerator.autocast():
                logits = completion_logits(model, ids, mask, logits_to_keep) / self.temperature
            own, entropy = log_probs_and_entropies(logits, ids[:, -logits_to_keep:], entropies=compute_entropy)
            scored.append(own)
            entropies += [] if entropy is None else [entropy]
        return torch.cat(scored), torch.cat(entropies) if entropies else None, None


def rl_rows(rows: Sequence[TrainingRow], form: Form) -> Dataset:
    """Prompts with what the reward and its log need beside them."""
    return Dataset.from_list(
        [
            {
                "prompt": messages(row_chat(row, form)),
                "task": row.task.name,
                "target": row.target,
                "draft": row.draft,
                "shown": "\n".join(row.task.show(item) for item in row.evidence),
            }
            for row in rows
        ]
    )


def train_grpo(
    rows: Sequence[TrainingRow],
    held_out: Sequence[TrainingRow],
    form: Form,
    checkpoint: Path,
    adapter: Path,
    work: Path,
    config: ModuleConfig,
    *,
    seed: int,
) -> GRPOTrainer:
    """Train the stage-1 adapter on: `rl_steps` updates of `rl_prompts` groups of `rl_group` completions each."""
    ordered = curriculum(
        rows, steps=config.rl_steps, prompts=config.rl_prompts, k=config.k, seed=seed, kind=config.curriculum
    )
    seen = curriculum(held_out, steps=1, prompts=min(HELD_OUT, len(held_out)), k=config.k, seed=seed, kind="fixed")
    callbacks: list[Any] = [TrainingProgress("GRPO steps")]
    if seen:
        callbacks.append(BestAdapter(best_folder(work), "eval_reward", higher=True))
    trainer = VaryingGroupsTrainer(
        model=trained_policy(checkpoint, adapter, seed=seed),
        reward_funcs=reward({row.task.name: row.task for row in (*rows, *held_out)}, form),
        args=_arguments(work, config, held_out=len(seen), seed=seed),
        train_dataset=rl_rows(ordered, form),
        eval_dataset=rl_rows(seen, form) if seen else None,
        processing_class=load_tokenizer(checkpoint),
        callbacks=callbacks,
    )
    return run_to_end(trainer, work)


def _arguments(work: Path, config: ModuleConfig, *, held_out: int, seed: int) -> GRPOConfig:
    groups = share(config.rl_prompts, "rl_prompts")
    return GRPOConfig(
        max_steps=config.rl_steps,
        per_device_train_batch_size=config.rl_group,
        gradient_accumulation_steps=groups,
        steps_per_generation=groups,  # one generation an update: every checkpoint is on its boundary
        num_generations=config.rl_group,
        max_completion_length=config.max_new_tokens,
        chat_template_kwargs=dict(CHAT_TOKENS),
        shuffle_dataset=False,  # the curriculum is an order
        beta=config.rl_beta,
        use_vllm=config.rl_vllm,
        learning_rate=config.rl_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=1,
        eval_strategy="steps" if held_out else "no",
        eval_on_start=held_out > 0,
        eval_steps=_evaluation_steps(config.rl_steps),
        num_generations_eval=1,
        per_device_eval_batch_size=max(1, math.ceil(held_out / processes())),
        **common_arguments(work, report_to=config.report_to, seed=seed),
    )


def _evaluation_steps(steps: int) -> int:
    """Steps between two measurements on held-out users."""
    return max(1, steps // 2)


def grpo_notes(adapter: Path, *, steps: int) -> list[str]:
    """What the log of a finished stage of so many steps says of it, a line each: variance, which adapter was kept, and
    whether the policy collapsed.

    A group whose completions all earn the same teaches nothing. A collapse is a parse rate or reward on held-out users
    that ended under what stage 1 had. One completion a prompt is sampled, so these figures are as sure as their
    standard deviation (`eval_reward_std`) over the root of `HELD_OUT` or fewer prompts.
    """
    entries = [json.loads(line) for line in (adapter / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = [entry["frac_reward_zero_std"] for entry in entries if "frac_reward_zero_std" in entry]
    notes = [f"GRPO: {sum(shares) / len(shares):.0%} of the groups had no reward variance"]
    if min(shares) == 1.0:
        notes = ["GRPO: the reward never varied within a group, so this stage taught nothing"]
    measured: dict[int, dict[str, float]] = {}
    for entry in entries:
        if "eval_reward" in entry and (entry["step"] % _evaluation_steps(steps) == 0 or entry["step"] == steps):
            measured.setdefault(entry["step"], entry)  # a resume measures again, which `BestAdapter` does not count
    if not measured:
        return [*notes, "GRPO: no user was held out, so no collapse would be noticed: the last adapter was kept"]
    rewards = {step: entry["eval_reward"] for step, entry in measured.items()}
    told = ", ".join(f"{value:.3f} at step {step}" for step, value in rewards.items())
    notes.append(f"GRPO: reward on held-out users {told}: step {max(rewards, key=rewards.__getitem__)} was kept")
    for name in ("eval_reward", "eval_parse_rate"):
        values = [entry[name] for entry in measured.values()]
        if values[-1] < values[0]:
            word = name.removeprefix("eval_").replace("_", " ")
            notes.append(f"GRPO: on held-out users the {word} fell from {values[0]:.3f} to {values[-1]:.3f} in the end")
    return notes
