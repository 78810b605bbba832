"""What a trained module reads, and the one form in which it writes: labelled lines, the last of which is the answer.

RPO (arXiv 2511.05286) gives the module the draft and the retrieved history. LaMP's label tasks cannot be answered
without the question, so here it reads the input too (`docs/fidelity.md`). The wording is ours: the paper's is not
public.
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
    """Draft -> analysis -> rewrite. A form that has no draft or no analysis leaves those parts empty.

    Attributes:
        shows: What the history tells of the user.
        lacks: Where the draft departs from it.
        rewrite: The answer.
    """

    shows: str
    lacks: str
    rewrite: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A text that missed a line of the form and is continued from there.

    Attributes:
        index: The position of its input.
        prefix: Its lines before the missing one, and the label of that line.
    """

    index: int
    prefix: str


@dataclass(frozen=True, slots=True)
class Form:
    """What the module reads beside the input, and whether it writes an analysis before the answer.

    All three make RPO; its ablations and its trained rivals lack some.

    Attributes:
        evidence: Whether it reads profile items.
        draft: Whether it reads the base model's draft, and rewrites it.
        analysis: Whether it writes an analysis first.
    """

    evidence: bool = True
    draft: bool = True
    analysis: bool = True

    def build_chat(self, task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Chat:
        """Write what the module reads.

        Args:
            task: The example's task.
            example: The input.
            draft: The base model's answer; ignored where the form has no draft.
            evidence: The profile items, best first; ignored where the form has none. The best one is shown last, next
                to the input.

        Returns:
            A system message that says what to do, and a user message with all the parts.
        """
        lines = []
        if self.evidence:
            items = [f"- {one_line(task.show(item))}" for item in reversed(evidence)] or ["- nothing"]
            lines += ["History:", *items]

        lines.append(f"Input: {one_line(task.content(example))}")

        if self.draft:
            # The task's noun is here too, right before the module writes: so one adapter for seven tasks keeps their
            # forms apart.
            lines.append(f"Draft {task.noun}: {one_line(draft)}")

        instruction = f"Rewrite the draft {task.noun}" if self.draft else f"Write the {task.noun}"
        instruction += " as this user would." if self.evidence or self.draft else "."
        return (Message("system", instruction), Message("user", "\n".join(lines)))

    def drop_unwritten_parts(self, trajectory: Trajectory) -> Trajectory:
        """Leave out the parts that this form does not write.

        Args:
            trajectory: One with all parts.

        Returns:
            The trajectory with those parts empty.
        """
        shows = trajectory.shows if self.analysis else ""
        lacks = trajectory.lacks if self.analysis and self.draft else ""

        return Trajectory(shows, lacks, trajectory.rewrite)

    def render_prefix(self, trajectory: Trajectory) -> str:
        """Write everything before the answer.

        Args:
            trajectory: What the module has to say.

        Returns:
            The lines of the analysis, and the label of the answer.
        """
        *analysis_labels, answer_label = self._labels()
        parts = (trajectory.shows, trajectory.lacks)
        lines = [f"{label} {part}" for label, part in zip(analysis_labels, parts, strict=False)]

        return "\n".join([*lines, answer_label])

    def render(self, trajectory: Trajectory) -> str:
        """Write a trajectory as the module writes it, in the lines of this form."""
        return f"{self.render_prefix(trajectory)} {trajectory.rewrite}"

    def parse(self, text: str) -> Trajectory | None:
        """Read a trajectory from what the module wrote.

        Args:
            text: Any text.

        Returns:
            The trajectory. None unless the lines are exactly this form's, in order, none of them empty.
        """
        lines = [line.strip() for line in text.strip().splitlines()]
        labels = self._labels()
        if len(lines) != len(labels):
            return None

        parts = {}
        for line, label in zip(lines, labels, strict=True):
            part = line.removeprefix(label).strip()
            if not line.startswith(label) or not part:
                return None
            parts[label] = part

        return Trajectory(parts.get(SHOWS, ""), parts.get(LACKS, ""), parts[labels[-1]])

    def prefix_with_next_label(self, text: str) -> str | None:
        """Cut a text before its first missing line, and add the label of that line.

        Args:
            text: A text that is not of this form.

        Returns:
            The lines up to there and the label. None where every line is there and something else is wrong.
        """
        labels = self._labels()
        prefix: list[str] = []
        for line, label in zip(text.strip().splitlines(), labels, strict=False):
            if not line.strip().startswith(label) or line.strip() == label:
                break
            prefix.append(line.strip())

        if len(prefix) == len(labels):
            return None
        return "\n".join([*prefix, labels[len(prefix)]])

    def sample(self, task: Task) -> Quoted:
        """Show how the module is asked about a task and how it writes, with stand-ins for every text of the data.

        Args:
            task: Any task.

        Returns:
            A part of a spec: it changes when the wording does.
        """
        item = ProfileItem("", {name: f"<{name}>" for name in task.fields})
        example = Example("", "", "<input>")
        without_evidence = self.build_chat(task, example, "<draft>", ())
        with_evidence = self.build_chat(task, example, "<draft>", (item, item))
        chats = [without_evidence, with_evidence]

        return Quoted((chats, self.render(Trajectory("<shows>", "<lacks>", "<rewrite>"))))

    def _labels(self) -> tuple[str, ...]:
        """The labels of the lines that the module writes, in order."""
        answer_label = REWRITE if self.draft else ANSWER
        if not self.analysis:
            return (answer_label,)
        return (SHOWS, LACKS, answer_label) if self.draft else (SHOWS, answer_label)


def one_line(text: str) -> str:
    """Make every run of white space one space: a line break inside a part would look like structure."""
    return " ".join(text.split())
