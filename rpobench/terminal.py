"""Texts and tables on a terminal: hostile characters made visible, wide enough where the output is piped."""

from __future__ import annotations

import unicodedata

from rich.console import Console
from rich.text import Text

PIPED = 160  # columns where nobody's window sets a width


def console() -> Console:
    """A console on stdout."""
    made = Console()
    return made if made.is_terminal else Console(width=PIPED)


def plain(text: str) -> Text:
    """A text of somebody else's as a cell: never markup, never a control code."""
    return Text(printable(text))


def printable(text: str) -> str:
    """The text with every control, format and surrogate character but line breaks and tabs written as its escape.

    Model and data texts may hold terminal codes that clear the screen, and marks that turn the writing direction.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # most are, and this is much quicker
    return "".join(
        ascii(char)[1:-1] if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t\u200d" else char
        for char in text
    )
