"""What the reflection module learns from: training rows, and the trajectories it is to write for them."""

from __future__ import annotations

from dataclasses import dataclass

from rpobench.rpo.form import Form, Trajectory
from rpobench.task.contract import Task
from rpobench.types import Chat, Example, ProfileItem


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One training example as the module meets it.

    Attributes:
        task: The example's task.
        example: The input and its user.
        target: The answer of the user.
        draft: The base model's answer; empty where the form has no draft.
        evidence: The profile items that the module is shown, best first.
    """

    task: Task
    example: Example
    target: str
    draft: str
    evidence: tuple[ProfileItem, ...]

    def build_chat(self, form: Form) -> Chat:
        """Write what a module of this form reads of the row, as a chat without an answer."""
        return form.build_chat(self.task, self.example, self.draft, self.evidence)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A training row together with the trajectory that the module is to write for it."""

    row: TrainingRow
    trajectory: Trajectory
