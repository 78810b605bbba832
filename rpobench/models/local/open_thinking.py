"""Chat templates that open the thinking themselves, such as those of the R1 distills: `<think>` ends their prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = re.compile(r"([<\[])(think|thinking|thought|thoughts|reason|reasoning|seed:think)([>\]])\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class OpenThinking:
    """The mark that a prompt ends with.

    Attributes:
        tail: The end of the prompt from the mark on, with the white space behind it, such as `<think>` and a new line.
    """

    tail: str

    @property
    def mark(self) -> str:
        """The mark alone, such as `<think>`."""
        return self.tail.rstrip()

    @property
    def closed(self) -> str:
        """The mark with empty thinking behind it, in the form in which templates write it."""
        closing_mark = f"{self.mark[0]}/{self.mark[1:]}"
        return f"{self.mark}\n\n{closing_mark}\n\n"


def find_open_thinking(prompt: str) -> OpenThinking | None:
    """Find the mark that opens the thinking at the end of a prompt.

    Args:
        prompt: A prompt as a chat template writes it.

    Returns:
        The mark with what follows it; None where the prompt does not end with one.
    """
    match = MARK.search(prompt)
    return OpenThinking(match.group()) if match else None
