"""What the reflection model reads, and the one form in which it writes: a trajectory of three labelled lines.

RPO (arXiv 2511.05286) gives the module the draft and the retrieved history; LaMP's label tasks cannot be answered
without the question, so it reads the input too (`docs/fidelity.md`). The wording is ours: the paper's is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.task import Task
from rpobench.types import Chat, Example, Message, ProfileItem

SHOWS, LACKS, REWRITE = "History shows:", "Draft lacks:", "Rewrite:"


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Draft -> analysis -> rewrite: what the history tells of the user, where the draft departs from it, the answer."""

    shows: str
    lacks: str
    rewrite: str

    def analysis(self) -> str:
        """Everything before the answer, up to and with the label of the rewrite."""
        return f"{SHOWS} {self.shows}\n{LACKS} {self.lacks}\n{REWRITE}"

    def text(self) -> str:
        """The trajectory as the reflection model writes it."""
        return f"{self.analysis()} {self.rewrite}"


def reflection_chat(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Chat:
    """Input, draft and evidence (best last, next to the input) as the reflection model reads them."""
    history = "\n".join(f"- {one_line(task.show(item))}" for item in reversed(evidence)) or "- nothing"
    question = f"History:\n{history}\nInput: {one_line(task.content(example))}\nDraft: {one_line(draft)}"
    return (Message("system", f"Rewrite the draft {task.noun} as this user would."), Message("user", question))


def prompt_form(task: Task) -> str:
    """How the module is asked about a task and how it writes, filled with placeholders: changes when the words do."""
    item = ProfileItem("", {name: f"<{name}>" for name in task.fields})
    asked = [reflection_chat(task, Example("", "", "<input>"), "<draft>", shown) for shown in ((), (item, item))]
    return repr((asked, Trajectory("<shows>", "<lacks>", "<rewrite>").text()))


def parse_trajectory(text: str) -> Trajectory | None:
    """The trajectory in a completion, or None unless its lines are exactly the three, in order, and none is empty."""
    lines = [line.strip() for line in text.strip().splitlines()]
    labels = (SHOWS, LACKS, REWRITE)
    if len(lines) != len(labels) or not all(line.startswith(label) for line, label in zip(lines, labels, strict=True)):
        return None
    parts = [line.removeprefix(label).strip() for line, label in zip(lines, labels, strict=True)]
    return Trajectory(*parts) if all(parts) else None


def one_line(text: str) -> str:
    """Text with every run of white space made one space: a line break inside would look like structure."""
    return " ".join(text.split())
