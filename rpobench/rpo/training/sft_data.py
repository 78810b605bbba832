"""The data of stage 1: which demonstrations can be learned from, and which of their tokens bear a loss."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from rpobench.models.local.chat_tokens import ChatEncoder, read_messages, template_messages
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form
from rpobench.rpo.training.log_probs import NO_LOSS
from rpobench.rpo.training_rows import Demonstration
from rpobench.rpo.trajectories.analysis import reaches_wrong_conclusion
from rpobench.types import Message, RpobenchError


def select_learnable(demonstrations: Sequence[Demonstration], form: Form, window: ContextWindow) -> list[Demonstration]:
    """Select the demonstrations that can be learned from. The others are counted on stderr, with the reason.

    Args:
        demonstrations: Training rows with their trajectories.
        form: What the module reads and writes.
        window: What fits into its context.

    Returns:
        Those whose trajectory reads back as it was written and which fit the window, in order.

    Raises:
        RpobenchError: Nothing is left.
    """
    learnable = []
    unreadable_count = too_long_count = 0
    for demonstration in demonstrations:
        text = form.render(demonstration.trajectory)
        chat = (*demonstration.row.build_chat(form), Message("assistant", text))

        if form.parse(text) != demonstration.trajectory:
            unreadable_count += 1
        elif not window.fits(chat):
            too_long_count += 1
        else:
            learnable.append(demonstration)

    _report_left_out(unreadable_count, demonstrations, "trajectories lack a part or do not read back")
    _report_left_out(
        too_long_count, demonstrations, f"do not fit the reflection model's context of {window.length} tokens"
    )

    if not learnable:
        raise RpobenchError(f"none of the {len(demonstrations)} training rows can be learned from: check their targets")
    return learnable


def _report_left_out(count: int, demonstrations: Sequence[Demonstration], reason: str) -> None:
    if count:
        print(f"SFT: {count} of {len(demonstrations)} training rows left out: {reason}", file=sys.stderr)


def build_sft_dataset(demonstrations: Sequence[Demonstration], form: Form, *, held_out: bool = False) -> Dataset:
    """Build trl's conversational prompt-completion data.

    Only reasoning that leads to the right answer may teach answers (after STaR, arXiv 2203.14465, section 3). A
    trajectory that reaches a wrong conclusion teaches its analysis alone: the column `lead` has its text up to the
    answer, and is empty for the others. Where all training trajectories reach a wrong one there is nothing else to
    learn answers from, so they teach them. Held-out rows only measure, and need no such exception.

    Args:
        demonstrations: Training rows with their trajectories.
        form: What the module reads and writes.
        held_out: Whether the data measure instead of train.

    Returns:
        One row per demonstration, in order, with `prompt`, `completion` and `lead`.
    """
    wrong_flags = []
    for demonstration in demonstrations:
        wrong_flags.append(reaches_wrong_conclusion(demonstration.row.task, demonstration.trajectory))
    masks_answers = held_out or not all(wrong_flags)

    rows = []
    for demonstration, is_wrong in zip(demonstrations, wrong_flags, strict=True):
        trajectory = demonstration.trajectory
        rows.append(
            {
                "prompt": template_messages(demonstration.row.build_chat(form)),
                "completion": [{"role": "assistant", "content": form.render(trajectory)}],
                "lead": form.render_prefix(trajectory) if is_wrong and masks_answers else "",
            }
        )
    return Dataset.from_list(rows)


def encode_sft_dataset(dataset: Dataset, encoder: ChatEncoder) -> Dataset:
    """Add the tokens that are trained on: the completion follows the prompt as prediction asks it.

    The loss is on the completion; of a row that has a `lead`, on the lead alone.

    Args:
        dataset: Rows of `build_sft_dataset`.
        encoder: Writes the chats of the model that is trained.

    Returns:
        The same rows with `input_ids` and `labels`.
    """

    def encode(row: dict[str, Any]) -> dict[str, list[int]]:
        chat = read_messages(row["prompt"])
        prompt, turn = encoder.encode_turn(chat, row["completion"][0]["content"])
        labels = [NO_LOSS] * len(prompt) + turn

        if row["lead"]:
            length = len(encoder.encode_prompt((*chat, Message("assistant", row["lead"]))))
            labels = labels[:length] + [NO_LOSS] * (len(labels) - length)
        return {"input_ids": prompt + turn, "labels": labels}

    return dataset.map(encode)
