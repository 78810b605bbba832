"""Words of a text in lower case, and every run of so many of them: how copied text and given-away targets are found."""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD = re.compile(r"\w+")


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words, in order, without punctuation."""
    return WORD.findall(text.lower())


def word_runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """List every run of words.

    Args:
        words: The words of a text, in order.
        length: How many words a run has.

    Returns:
        The runs from first to last, overlapping; none where the length is 0 or the text is shorter.
    """
    if not length:
        return []

    starts = range(len(words) - length + 1)
    return [tuple(words[start : start + length]) for start in starts]
