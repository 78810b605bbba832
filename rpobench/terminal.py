"""Texts and tables on a terminal: hostile characters made visible, wide enough where the output is piped."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
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


CONSOLE = Console(stderr=True)  # one for all bars: a bar within a bar is then drawn below it


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of things just finished. Nothing is shown for an empty step."""
    if not total:
        yield lambda count: None
        return
    if not CONSOLE.is_terminal:
        yield _plain_lines(description, total)
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=CONSOLE) as bar:
        row = bar.add_task(description, total=total, rate="")

        def advance(count: int) -> None:
            bar.advance(row, count)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(row, rate=f"{speed:.1f}/s" if speed else "")

        yield advance


def _plain_lines(description: str, total: int) -> Callable[[int], None]:
    started, done = time.monotonic(), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        rate = done / max(time.monotonic() - started, 1e-9)
        print(f"{description}: {done}/{total}, {rate:.1f}/s, {(total - done) / rate:.0f} s left", file=sys.stderr)

    return advance
