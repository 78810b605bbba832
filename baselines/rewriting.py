"""Words of the untrained rewriters: the same base model is asked to rewrite its own draft. The prompts are ours."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.rpo.form import one_line
from rpobench.task.contract import Task
from rpobench.types import Chat, Example, Message, ProfileItem


def asked(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> str:
    """Past items (best last, next to the input), input and draft, a line each."""
    history = "\n".join(f"- {one_line(task.show(item))}" for item in reversed(evidence)) or "- nothing"
    return f"What this user wrote before:\n{history}\nTask: {one_line(example.input)}\nDraft answer: {one_line(draft)}"


def rewrite_chat(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], critique: str | None = None
) -> Chat:
    """Asks for the answer as this user would give it, after a critique where there is one."""
    said = f"\nCritique of the draft: {one_line(critique)}" if critique is not None else ""
    wanted = f"Rewrite the draft answer as this user would give it. Reply with the {task.noun} only."
    return (Message("user", f"{asked(task, example, draft, evidence)}{said}\n{wanted}"),)


def critique_chat(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Chat:
    """Asks how the draft differs from what the user would write."""
    wanted = f"In one sentence, say how the draft {task.noun} differs from what this user would give."
    return (Message("user", f"{asked(task, example, draft, evidence)}\n{wanted}"),)
