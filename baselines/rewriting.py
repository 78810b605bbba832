"""Words of the untrained rewriters: the same base model is asked to rewrite its own draft. The prompts are ours."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.api import Chat, Example, Message, ProfileItem, Task
from rpobench.rpo.form import one_line


def rewrite_chat(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], critique: str | None = None
) -> Chat:
    """Ask for the answer as this user would give it.

    Args:
        task: Words the items and the answer.
        example: The example that is answered.
        draft: The base model's own answer.
        evidence: Past items, best first.
        critique: How the draft differs from what the user would write; None without one.

    Returns:
        A chat of one message.
    """
    lines = [_case(task, example, draft, evidence)]
    if critique is not None:
        lines.append(f"Critique of the draft: {one_line(critique)}")
    lines.append(f"Rewrite the draft answer as this user would give it. Reply with the {task.noun} only.")

    return (Message("user", "\n".join(lines)),)


def critique_chat(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Chat:
    """Ask how the draft differs from what the user would write; arguments as for `rewrite_chat`."""
    instruction = f"In one sentence, say how the draft {task.noun} differs from what this user would give."
    return (Message("user", f"{_case(task, example, draft, evidence)}\n{instruction}"),)


def _case(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> str:
    """Past items (best last, next to the input), input and draft, a line each."""
    history = [f"- {one_line(task.show(item))}" for item in reversed(evidence)]

    return "\n".join(
        [
            "What this user wrote before:",
            *(history or ["- nothing"]),
            f"Task: {one_line(example.input)}",
            f"Draft answer: {one_line(draft)}",
        ]
    )
