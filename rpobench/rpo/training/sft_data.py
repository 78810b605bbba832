"""The data of stage 1: which demonstrations can be learned from, and which of their tokens bear a loss."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.rpo.context_window import ContextWindow, template_messages
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
        One row per demonstration, in order, with `prompt`, `completion`, `lead` and `chat_template_kwargs`.
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
                "chat_template_kwargs": dict(CHAT_TOKENS),
            }
        )
    return Dataset.from_list(rows)


def mask_answers(dataset: Dataset, tokenizer: Any) -> Dataset:
    """Take the loss from the answer of every row that has a `lead`.

    Args:
        dataset: Tokenized rows of `build_sft_dataset`.
        tokenizer: The tokenizer they were made with.

    Returns:
        The same rows; where one has a `lead`, the labels after it bear no loss.
    """

    def mask_answer(row: dict[str, Any]) -> dict[str, Any]:
        if not row["lead"]:
            return {}

        chat = [*row["prompt"], {"role": "assistant", "content": row["lead"]}]
        lead_ids = tokenizer.apply_chat_template(chat, continue_final_message=True, return_dict=False, **CHAT_TOKENS)
        length = len(lead_ids)
        return {"labels": row["labels"][:length] + [NO_LOSS] * (len(row["labels"]) - length)}

    return dataset.map(mask_answer)
