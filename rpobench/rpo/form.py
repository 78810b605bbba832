"""What a trained module reads, and the one form in which it writes: labelled lines, the last of which is the answer.

RPO (arXiv 2511.05286) gives the module the draft and the retrieved history; LaMP's label tasks cannot be answered
without the question, so it reads the input too (`docs/fidelity.md`). The wording is ours: the paper's is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.store.identity import Quoted
from rpobench.task.contract import Task
from rpobench.types import Chat, Example, Message, ProfileItem

SHOWS, LACKS, REWRITE, ANSWER = "History shows:", "Draft lacks:", "Rewrite:", "Answer:"


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Draft -> analysis -> rewrite: what the history tells of the user, where the draft departs from it, the answer.

    A form that has no draft or no analysis leaves those parts empty.
    """

    shows: str
    lacks: str
    rewrite: str


@dataclass(frozen=True, slots=True)
class Form:
    """What the module reads beside the input, and whether it writes an analysis before the answer.

    All three make RPO; its ablations and its trained rivals lack some.
    """

    evidence: bool = True
    draft: bool = True
    analysis: bool = True

    def chat(self, task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Chat:
        """Evidence (best last, next to the input), input and draft as the module reads them."""
        lines = []
        if self.evidence:
            shown = "\n".join(f"- {one_line(task.show(item))}" for item in reversed(evidence)) or "- nothing"
            lines.append(f"History:\n{shown}")
        lines.append(f"Input: {one_line(task.content(example))}")
        if self.draft:
            # Named last too: read right before it writes, one adapter for seven tasks keeps their forms apart.
            lines.append(f"Draft {task.noun}: {one_line(draft)}")
        told = f"Rewrite the draft {task.noun}" if self.draft else f"Write the {task.noun}"
        told += " as this user would." if self.evidence or self.draft else "."
        return (Message("system", told), Message("user", "\n".join(lines)))

    def kept(self, trajectory: Trajectory) -> Trajectory:
        """The trajectory without the parts that this form does not write."""
        parts = dict(zip(self._labels(), self._parts(trajectory), strict=True))
        return Trajectory(parts.get(SHOWS, ""), parts.get(LACKS, ""), trajectory.rewrite)

    def lead(self, trajectory: Trajectory) -> str:
        """Everything the module writes before the answer, up to and with the label of it."""
        *analysis, _ = (
            f"{label} {part}\n" for label, part in zip(self._labels(), self._parts(trajectory), strict=True)
        )
        return "".join(analysis) + self._labels()[-1]

    def text(self, trajectory: Trajectory) -> str:
        """The trajectory as the module writes it."""
        return f"{self.lead(trajectory)} {trajectory.rewrite}"

    def parse(self, text: str) -> Trajectory | None:
        """The trajectory in a completion, or None unless its lines are exactly this form's, in order, none empty."""
        lines, labels = [line.strip() for line in text.strip().splitlines()], self._labels()
        if len(lines) != len(labels) or not all(map(str.startswith, lines, labels)):
            return None
        parts = {label: line.removeprefix(label).strip() for line, label in zip(lines, labels, strict=True)}
        if not all(parts.values()):
            return None
        return Trajectory(parts.get(SHOWS, ""), parts.get(LACKS, ""), parts[labels[-1]])

    def prefix_with_next_label(self, text: str) -> str | None:
        """The lines of a text that are this form's, from the first on, and the label that should have come next.

        None where every line is there and something else is wrong.
        """
        kept: list[str] = []
        for line, label in zip(map(str.strip, text.strip().splitlines()), self._labels(), strict=False):
            if not line.startswith(label) or line == label:
                break
            kept.append(line)
        missing = self._labels()[len(kept) :]
        return "\n".join([*kept, missing[0]]) if missing else None

    def sample(self, task: Task) -> Quoted:
        """How the module is asked about a task and how it writes, with stand-ins: changes when the words do."""
        item = ProfileItem("", {name: f"<{name}>" for name in task.fields})
        asked = [self.chat(task, Example("", "", "<input>"), "<draft>", shown) for shown in ((), (item, item))]
        return Quoted((asked, self.text(Trajectory("<shows>", "<lacks>", "<rewrite>"))))

    def _labels(self) -> tuple[str, ...]:
        analysis = (SHOWS, LACKS) if self.draft else (SHOWS,)
        return (*(analysis if self.analysis else ()), REWRITE if self.draft else ANSWER)

    def _parts(self, trajectory: Trajectory) -> tuple[str, ...]:
        analysis = (trajectory.shows, trajectory.lacks) if self.draft else (trajectory.shows,)
        return (*(analysis if self.analysis else ()), trajectory.rewrite)


def one_line(text: str) -> str:
    """Text with every run of white space made one space: a line break inside would look like structure."""
    return " ".join(text.split())
