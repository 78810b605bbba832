"""How many tokens a trained module reads, writes and learns from, told from a few examples before it is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rpobench.method.context import Context
from rpobench.method.token_work import TokenWork
from rpobench.rpo.config import ModuleConfig, RPOConfig
from rpobench.rpo.module_input import InputBuilder
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.task.contract import Task
from rpobench.types import Example, Message

MOST_HELD_OUT = 16  # prompts of an evaluation of GRPO, as `training.grpo` has it
EVALUATIONS = 3  # of GRPO: at the start, half-way, at the end
EVALUATIONS_OF_EPOCH = 4  # of stage 1
FEW = 4  # training examples of a task that are measured
PAIR = 2  # DPO learns from the rewrite and from the draft


@dataclass(frozen=True)
class RowLength:
    """The length of one row.

    Attributes:
        prompt: Tokens that the module reads.
        answer: Tokens that it writes, or learns to write.
    """

    prompt: float
    answer: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.prompt + self.answer


def count_prediction_tokens(
    builder: InputBuilder, task: Task, examples: Sequence[Example], context: Context
) -> TokenWork:
    """Count what the module does to answer examples.

    Args:
        builder: Builds what the module reads.
        task: The task of the examples.
        examples: A few of them.
        context: Lends evidence, and stand-ins for drafts.

    Returns:
        The work for these examples.
    """
    length = measure_rows(builder, task, examples, context)
    label_tokens = sum(_count_text(builder, f" {label}") for label in task.labels)

    if task.labels and not builder.form.analysis:
        return TokenWork(read=length.prompt + label_tokens) * len(examples)

    reading = length.prompt + (length.total + label_tokens if task.labels else 0.0)
    work = TokenWork(read=reading, written=length.answer) * builder.config.n
    return work * len(examples)


def count_training_tokens(
    builder: InputBuilder, examples_by_task: Mapping[Task, Sequence[Example]], context: Context
) -> TokenWork:
    """Count what training does, at most: it may end before its last epoch.

    Args:
        builder: Builds what the module reads.
        examples_by_task: All training examples of each task.
        context: Lends evidence, and stand-ins for drafts.

    Returns:
        The work of all stages.
    """
    config = builder.config
    work, count, lengths = TokenWork(), 0, []
    for task, examples in examples_by_task.items():
        length = measure_rows(builder, task, examples[:: max(1, len(examples) // FEW)][:FEW], context)
        lengths.append(length)
        count += len(examples)

        held_out = config.validation * len(examples)
        work += TokenWork(trained=length.total) * (config.sft_epochs * (len(examples) - held_out))
        work += TokenWork(read=length.total) * (config.sft_epochs * EVALUATIONS_OF_EPOCH * held_out)

    mean = RowLength(fmean(length.prompt for length in lengths), fmean(length.answer for length in lengths))
    held_out_prompts = min(MOST_HELD_OUT, math.floor(config.validation * count))
    return work + _count_second_stage(config, mean, held_out_prompts)


def measure_rows(builder: InputBuilder, task: Task, examples: Sequence[Example], context: Context) -> RowLength:
    """Measure rows of a task; their answers are as long as the rules write them, with a made-up rewrite.

    Args:
        builder: Builds what the module reads.
        task: The task of the examples.
        examples: A few of them.
        context: Lends evidence, and stand-ins for drafts.

    Returns:
        The mean length in tokens.
    """
    inputs = builder.build(task, examples, context)
    rows = []
    for module_input in inputs:
        draft = module_input.draft.text if module_input.draft else ""
        rewrite = task.labels[0] if task.labels else draft or "an answer of some eight to ten words or so"
        rows.append(TrainingRow(task, module_input.example, rewrite, draft, module_input.evidence.items))

    answers = []
    for trajectory in RuleWriter().write(rows):
        answers.append(_count_text(builder, builder.form.render(builder.form.drop_unwritten_parts(trajectory))))
    prompts = [builder.window.count_tokens(module_input.chat) for module_input in inputs]
    return RowLength(fmean(prompts), fmean(answers))


def _count_second_stage(config: ModuleConfig, length: RowLength, held_out_prompts: int) -> TokenWork:
    if config.rl == "none":
        return TokenWork()

    is_dpo = isinstance(config, RPOConfig) and config.rl != "grpo"
    if is_dpo:
        pairs = config.rl_steps * config.rl_prompts
        return TokenWork(trained=length.total, read=length.total) * (PAIR * pairs)

    prompts = config.rl_steps * config.rl_prompts
    completions = prompts * config.rl_group
    # Each completion is scored by the policy, which learns, and by its reference. Some run to the limit.
    return TokenWork(
        read=prompts * length.prompt + completions * length.total + EVALUATIONS * held_out_prompts * length.prompt,
        sampled=(completions + EVALUATIONS * held_out_prompts) * config.max_new_tokens,
        trained=completions * length.total,
    )


def _count_text(builder: InputBuilder, text: str) -> int:
    """The tokens of a text of the module, without the chat around it."""
    chat = (Message("user", ""), Message("assistant", text))
    return builder.window.count_tokens(chat) - builder.window.count_tokens((*chat[:-1], Message("assistant", "")))
