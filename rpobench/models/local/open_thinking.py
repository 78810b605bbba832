"""Chat templates that open the thinking themselves, such as those of the R1 distills: `<think>` ends their prompt."""

from __future__ import annotations

from dataclasses import dataclass

from rpobench.task.thinking import find_marks

WITHOUT_PLAIN_END = frozenset(["channel", "unused", "granite", "details"])  # blocks whose end is no closing tag


@dataclass(frozen=True)
class OpenThinking:
    """The mark that a prompt ends with.

    Attributes:
        tail: The end of the prompt from the mark on, with the white space behind it, such as `<think>` and a new line.
        has_closing_tag: Whether the block ends with a tag that follows from the mark.
    """

    tail: str
    has_closing_tag: bool = True

    @property
    def mark(self) -> str:
        """The mark alone, such as `<think>`."""
        return self.tail.rstrip()

    @property
    def closed(self) -> str:
        """The mark with empty thinking behind it, in the form in which templates write it."""
        closing_mark = self.mark.replace("START", "END").replace("begin", "end")
        if closing_mark == self.mark:
            closing_mark = f"{self.mark[0]}/{self.mark[1:]}"
        return f"{self.mark}\n\n{closing_mark}\n\n"


def find_open_thinking(prompt: str) -> OpenThinking | None:
    """Find the mark that opens the thinking at the end of a prompt.

    Args:
        prompt: A prompt as a chat template writes it.

    Returns:
        The mark with what follows it; None where the prompt does not end with one.
    """
    marks = find_marks(prompt)
    if not marks or marks[-1].action != "open" or prompt[marks[-1].end :].strip():
        return None
    return OpenThinking(prompt[marks[-1].start :], marks[-1].name not in WITHOUT_PLAIN_END)
