"""What the reflection module reads, and what it learns from."""

from __future__ import annotations

from dataclasses import dataclass

from rpobench.task.contract import Task
from rpobench.types import Chat, Evidence, Example, Prediction, ProfileItem


@dataclass(frozen=True)
class Question:
    """One example as the module reads it. `draft` is None where the form has none.

    `fits` is False where the chat is longer than the module's context even without evidence.
    """

    task: Task
    example: Example
    draft: Prediction | None
    evidence: Evidence
    chat: Chat
    fits: bool


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One training example as the module meets it; evidence is best first, the draft empty where the form has none."""

    task: Task
    example: Example
    target: str
    draft: str
    evidence: tuple[ProfileItem, ...]
