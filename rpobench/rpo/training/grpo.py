"""Stage 2: GRPO (arXiv 2402.03300) on the task's own per-example score, in the order of the curriculum.

The KL is to the stage-1 policy, which trl keeps as a frozen copy of the adapter. The reward on held-out users is
measured at the start, half-way and at the end. The best of these adapters is kept, so a collapse costs only time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from rpobench.models.local.chat_tokens import ChatEncoder, read_messages, template_messages
from rpobench.models.local.generation import continue_prompts
from rpobench.models.local.prompt_cache import has_plain_cache
from rpobench.models.local.sampling import GlobalChoice
from rpobench.rpo.form import Form
from rpobench.rpo.training.arguments import common_arguments, refinement_evaluation_steps
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.rpo.training.curriculum import order_prompts
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training.log_probs import completion_logits, log_probs_and_entropies
from rpobench.rpo.training.merged_sampler import MergedSampler
from rpobench.rpo.training.policy import load_tokenizer, trained_policy
from rpobench.rpo.training.progress_bar import TrainingProgress
from rpobench.rpo.training.reward import make_reward
from rpobench.rpo.training.stage import best_folder, run_to_end
from rpobench.rpo.training_rows import TrainingRow
from rpobench.store.processes import count_processes, divide_batch

ROUNDING = 0.01  # advantages of equal rewards are 0 but for float32, up to 1e-3; those of unequal ones are about 1
SCORED_ROWS = 4  # completions at a time: the logits of 16 would take 1.5 GB with a vocabulary of 50,000
MOST_HELD_OUT = 16  # prompts that an evaluation reads: each costs a completion


class VaryingGroupsTrainer(GRPOTrainer):  # type: ignore[misc]  # trl is read untyped
    """GRPO that passes over groups whose completions all earn the same: they would train on the KL alone.

    Attributes:
        encoder: Writes the prompts as prediction asks them; set before training.
        checkpoint: The folder of the untrained model; set before training.
    """

    encoder: ChatEncoder
    checkpoint: Path

    def _tokenize_prompts(self, prompts: list[list[dict[str, str]]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.encoder.encode_prompt(read_messages(messages)) for messages in prompts], None, {}

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)

        if self.model.training:
            # A group whose rewards are equal has no advantages; its completions get no loss.
            advantages = batch["advantages"].view(-1, self.num_generations)  # (groups, completions)
            varies = advantages.abs().amax(1).gt(ROUNDING).repeat_interleave(self.num_generations)
            batch["completion_mask"] = batch["completion_mask"] * varies.unsqueeze(1)
            batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()

        return batch

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *images: Any, **options: Any
    ) -> tuple[list[list[int]], None]:
        """As trl's own, from the same random stream, faster on a CPU: a prompt is read once for its group."""
        policy = self.accelerator.unwrap_model(self.model_wrapped)
        if self.use_vllm or not has_plain_cache(policy):
            completions: tuple[list[list[int]], None] = super()._generate_single_turn(prompt_ids, *images, **options)
            return completions

        choice = GlobalChoice(self.max_completion_length, self.temperature)
        filler = self._tokenizer.pad_token_id
        if self.args.bf16:
            self.sampler.copy_weights(policy)
            return self.sampler.write(prompt_ids, choice, self.eos_token_ids, filler=filler), None

        with torch.no_grad():
            return continue_prompts(policy, prompt_ids, choice, self.eos_token_ids, filler=filler), None

    @cached_property
    def sampler(self) -> MergedSampler:
        """Writes in place of the policy where training multiplies in bfloat16."""
        return MergedSampler(self.checkpoint)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **image_arguments: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """As trl's own, but for completions alone; see `log_probs`."""
        log_probs, entropies = [], []
        size = min(batch_size or len(input_ids), SCORED_ROWS)

        for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True):
            with self.accelerator.autocast():
                logits = completion_logits(model, ids, mask, logits_to_keep) / self.temperature
            batch_log_probs, batch_entropies = log_probs_and_entropies(
                logits, ids[:, -logits_to_keep:], entropies=compute_entropy
            )
            log_probs.append(batch_log_probs)
            if batch_entropies is not None:
                entropies.append(batch_entropies)

        return torch.cat(log_probs), torch.cat(entropies) if entropies else None, None


def build_grpo_dataset(rows: Sequence[TrainingRow], form: Form) -> Dataset:
    """Build the prompts, with what the reward and its log need beside them.

    Args:
        rows: The training rows, in the order in which they are trained on.
        form: What the module reads and writes.

    Returns:
        One row per training row with `prompt`, `task`, `target`, `draft` and `evidence`.
    """
    prompts = []
    for row in rows:
        prompts.append(
            {
                "prompt": template_messages(row.build_chat(form)),
                "task": row.task.name,
                "target": row.target,
                "draft": row.draft,
                "evidence": "\n".join(row.task.show(item) for item in row.evidence),
            }
        )

    return Dataset.from_list(prompts)


def train_grpo(job: TrainingJob, data: TrainingData, sft_adapter: Path, work: Path) -> GRPOTrainer:
    """Train the stage-1 adapter on: `rl_steps` updates of `rl_prompts` groups of `rl_group` completions each.

    Args:
        job: The settings of the training.
        data: The demonstrations whose rows are prompts, and those to measure with.
        sft_adapter: The folder of the stage-1 adapter.
        work: The folder of checkpoints. A training that was killed continues from the last one.

    Returns:
        The trainer at the end of its training.
    """
    train_rows = [demonstration.row for demonstration in data.training]
    held_out_rows = [demonstration.row for demonstration in data.held_out]
    held_out_prompts = _choose_held_out_prompts(job, held_out_rows)

    callbacks: list[Any] = [TrainingProgress("GRPO steps")]
    if held_out_prompts:
        callbacks.append(BestAdapter(best_folder(work), "eval_reward", higher=True))

    policy = trained_policy(job.checkpoint, sft_adapter, seed=job.seed)
    arguments = grpo_arguments(job, work, held_out_count=len(held_out_prompts))
    if arguments.use_vllm:  # it reads the checkpoint's files and not the policy's settings
        arguments.generation_kwargs = {"stop_token_ids": policy.generation_config.eos_token_id}

    tasks = {row.task.name: row.task for row in (*train_rows, *held_out_rows)}
    trainer = VaryingGroupsTrainer(
        model=policy,
        reward_funcs=make_reward(tasks, job.form),
        args=arguments,
        train_dataset=build_grpo_dataset(_order_training_prompts(job, train_rows), job.form),
        eval_dataset=build_grpo_dataset(held_out_prompts, job.form) if held_out_prompts else None,
        processing_class=load_tokenizer(job.checkpoint),
        callbacks=callbacks,
    )
    trainer.encoder, trainer.checkpoint = job.encoder, job.checkpoint
    run_to_end(trainer, work)
    return trainer


def _order_training_prompts(job: TrainingJob, rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    config = job.config

    return order_prompts(
        rows,
        steps=config.rl_steps,
        prompts_per_step=config.rl_prompts,
        k=config.k,
        seed=job.seed,
        curriculum=config.curriculum,
    )


def _choose_held_out_prompts(job: TrainingJob, rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    """As many rows as an evaluation reads, each with all its evidence."""
    count = min(MOST_HELD_OUT, len(rows))

    return order_prompts(rows, steps=1, prompts_per_step=count, k=job.config.k, seed=job.seed, curriculum="fixed")


def grpo_arguments(job: TrainingJob, work: Path, *, held_out_count: int) -> GRPOConfig:
    """Set up trl's arguments of GRPO.

    Args:
        job: The settings of the training.
        work: The folder of checkpoints.
        held_out_count: How many held-out prompts there are to measure with.

    Returns:
        The arguments of the trainer.
    """
    config = job.config
    groups = divide_batch(config.rl_prompts, "rl_prompts")

    return GRPOConfig(
        max_steps=config.rl_steps,
        per_device_train_batch_size=config.rl_group,
        gradient_accumulation_steps=groups,
        steps_per_generation=groups,  # one generation an update: every checkpoint is on its boundary
        num_generations=config.rl_group,
        max_completion_length=config.max_new_tokens,
        shuffle_dataset=False,  # the curriculum is an order
        beta=config.rl_beta,
        use_vllm=config.rl_vllm,
        learning_rate=config.rl_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        save_steps=1,
        eval_strategy="steps" if held_out_count else "no",
        eval_on_start=held_out_count > 0,
        eval_steps=refinement_evaluation_steps(config.rl_steps),
        num_generations_eval=1,
        per_device_eval_batch_size=max(1, math.ceil(held_out_count / count_processes())),
        **common_arguments(work, report_to=config.report_to, seed=job.seed),
    )
