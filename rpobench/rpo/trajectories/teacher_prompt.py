"""What a teacher is asked: to explain how to come from draft to target, with both in view. The prompts are ours."""

from __future__ import annotations

from rpobench.rpo.form import LACKS, REWRITE, SHOWS, Form, one_line
from rpobench.rpo.training_rows import TrainingRow
from rpobench.types import Chat, Message

FORM = Form()  # of the teacher's lines; what the module does not write is left out later

INSTRUCTION = (
    f"Write two short lines. {SHOWS} what the history tells about how this user answers. {LACKS} where the draft "
    "departs from that. Neither line quotes the rewrite."
)

# One for each kind of task: without it a small model repeats its instruction. A line that copies it is refused.
FEW_SHOT: dict[str, Chat] = {
    "text": (
        Message(
            "user",
            "History:\n- Just a new door, folks\n- Just the old lamp, folks\n"
            "Input: The shop has a red chair.\nDraft note: The shop offers a chair in red.\n"
            f"{REWRITE} Just a red chair, folks",
        ),
        Message(
            "assistant",
            f'{SHOWS} short; begins with "just", ends with "folks"\n{LACKS} no "just" first; no "folks" last',
        ),
    ),
    "rating": (
        Message(
            "user",
            "History:\n- score: 2 text: slow and loud\n- score: 5 text: fast and quiet\n"
            "Input: It is quiet, and quick to start.\nDraft rating: 3\n"
            f"{REWRITE} 5",
        ),
        Message(
            "assistant",
            f"{SHOWS} high ratings for quiet things, low ones for loud things\n{LACKS} it is too low for a quiet thing",
        ),
    ),
    "label": (
        Message(
            "user",
            "History:\n- sport: the team won the cup\n- sport: a race in the rain\n"
            "Input: The final was played in the rain.\nDraft tag: news\n"
            f"{REWRITE} sport",
        ),
        Message("assistant", f"{SHOWS} calls games and races sport\n{LACKS} a final is a game"),
    ),
}


def teacher_prompts() -> tuple[object, ...]:
    """The words of the teacher's prompts, as a part of `Method.prompts`."""
    return (INSTRUCTION, FEW_SHOT)


def build_teacher_chat(row: TrainingRow) -> Chat:
    """Write what the teacher reads of a row: an example of its kind of task, then the row with its target.

    Args:
        row: The training row.

    Returns:
        The chat, without an answer.
    """
    _, module_reads = row.build_chat(FORM)
    question = Message("user", f"{module_reads.content}\n{REWRITE} {one_line(row.target)}")

    return (Message("system", INSTRUCTION), *FEW_SHOT[row.task.kind], question)
