"""What people see on a terminal: printable texts, a console, and progress bars.

Control characters of foreign texts are made visible; where the output is piped, tables are wide enough for their cells.
"""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 160  # columns where nobody's window sets a width
UNPRINTABLE = ("Cc", "Cf", "Cs")  # Unicode categories: control, format and surrogate characters
HARMLESS = "\n\t\u200d"  # of these categories: line break, tab, and the joiner within emoji


def open_console() -> Console:
    """Return a console on stdout; it has a fixed width where the output is piped."""
    console = Console()

    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def is_terminal() -> bool:
    """Say whether somebody reads stdout on a terminal."""
    return Console().is_terminal


def plain_text(text: str) -> Text:
    """Return a foreign text as a cell of a table: it is never read as markup and holds no control code."""
    return Text(escape_controls(text))


def escape_controls(text: str) -> str:
    """Write every control, format and surrogate character as its escape, except line breaks and tabs.

    Texts of models and data may hold terminal codes that clear the screen, and marks that turn the writing direction.

    Args:
        text: Any text.

    Returns:
        The text, safe to print.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # most texts are, and this is much quicker

    return "".join(ascii(char)[1:-1] if _is_unprintable(char) else char for char in text)


def _is_unprintable(char: str) -> bool:
    return char not in HARMLESS and unicodedata.category(char) in UNPRINTABLE


WITHOUT_LIMIT = 10_000  # columns, more than any table has


@dataclass(frozen=True)
class TableColumn:
    """A column of a table that fits every window.

    Attributes:
        heading: What stands above it.
        cells: Its texts, one a row. Texts of models and data are to be escaped before.
        priority: Of the columns that have no room those with the highest number are left out first; 0 always stays.
        is_number: Whether it is set to the right.
        is_name: Whether it tells rows apart: what is listed below the table is listed by it.
    """

    heading: str
    cells: Sequence[Text]
    priority: int = 0
    is_number: bool = False
    is_name: bool = False


def print_columns(
    columns: Sequence[TableColumn], *, title: str = "", caption: str = "", screen: Console | None = None
) -> None:
    """Print a table in which no cell is shortened.

    Columns that have no room in the window are listed below it, row by row; where the output is piped all have room.

    Args:
        columns: The columns from left to right, each with equally many cells.
        title: Stands above the table.
        caption: Stands below it.
        screen: Where it is printed; None is stdout.
    """
    console = screen or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=WITHOUT_LIMIT)

    if title:
        console.print(plain_text(title))
    shown_columns = _choose_columns(columns, console)
    if shown_columns:
        console.print(_make_table(shown_columns))
    console.print(_list_cells(columns, shown_columns), end="")
    if caption:
        console.print(plain_text(caption))


def _choose_columns(columns: Sequence[TableColumn], console: Console) -> list[TableColumn]:
    """The columns that fit beside each other, by priority; none where not even the first have room."""
    for most in sorted({column.priority for column in columns}, reverse=True):
        chosen = [column for column in columns if column.priority <= most]
        options = console.options.update(width=WITHOUT_LIMIT)
        if console.measure(_make_table(chosen), options=options).maximum <= console.width:
            return chosen

    return []


def _make_table(columns: Sequence[TableColumn]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(plain_text(column.heading), justify="right" if column.is_number else "left", no_wrap=True)

    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _list_cells(columns: Sequence[TableColumn], shown_columns: Sequence[TableColumn]) -> Text:
    """A line for each row with what of it is not in the table."""
    names = [column for column in columns if column.is_name]
    hidden_columns = [column for column in columns if column not in shown_columns and column not in names]
    if not hidden_columns:
        return Text()

    lines = Text("\n")
    for index in range(len(columns[0].cells)):
        name = " ".join(_format_name(column, index) for column in names)
        cells = [f"{column.heading} {column.cells[index].plain}".strip() for column in hidden_columns]
        lines.append(f"{name}: {', '.join(cells)}\n")
    return lines


def _format_name(column: TableColumn, index: int) -> str:
    """What a column says of a row's name: a number with its heading, as `seed 0`."""
    cell = column.cells[index].plain
    return f"{column.heading} {cell}" if column.is_number else cell


PROGRESS_CONSOLE = Console(stderr=True)  # the same for all bars: a bar within a bar is then drawn below it


SECONDS_BETWEEN_LINES = 60.0  # of a step that is not on a terminal


class Advance(Protocol):
    """Moves a step on."""

    def __call__(self, count: int, note: str = "") -> None:
        """Say that `count` more items are finished; the note stands beside the numbers until the next one."""
        ...


@contextmanager
def show_progress(description: str, total: int) -> Iterator[Advance]:
    """Show on stderr how far a step has come: a bar on a terminal, elsewhere a line a minute and one at the end.

    Args:
        description: What the step is called.
        total: How many items it has; nothing is shown for 0.

    Yields:
        A function to call with the number of items that were just finished, and a note such as the loss.
    """
    if not total:
        yield lambda count, note="": None
    elif PROGRESS_CONSOLE.is_terminal:
        with _make_bar() as bar:
            yield _add_bar_row(bar, description, total)
    else:
        lines = _ProgressLines(description, total)
        try:
            yield lines.advance
        finally:
            lines.close()


def _make_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=PROGRESS_CONSOLE,
    )


def _add_bar_row(bar: Progress, description: str, total: int) -> Advance:
    """A row of the bar for one step, as the function that moves it on."""
    row = bar.add_task(description, total=total, rate="", note="")

    def advance(count: int, note: str = "") -> None:
        bar.advance(row, count)
        speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
        bar.update(row, rate=f"{speed:.1f}/s" if speed else "", note=note or bar.tasks[0].fields["note"])

    return advance


class _ProgressLines:
    """What stands for a bar where no terminal is."""

    def __init__(self, description: str, total: int) -> None:
        self._description = description
        self._total = total
        self._finished = 0
        self._note = ""
        self._start = self._last_line = time.monotonic()
        self._is_told = True

    def advance(self, count: int, note: str = "") -> None:
        """Count finished items; prints where the last line is a minute old."""
        self._finished += count
        self._note = note or self._note
        self._is_told = False

        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._print()

    def close(self) -> None:
        """Print how far the step came, unless the last line said so."""
        if not self._is_told:
            self._print()

    def _print(self) -> None:
        now = time.monotonic()
        self._last_line, self._is_told = now, True

        rate = self._finished / max(now - self._start, 1e-9)
        seconds_left = (self._total - self._finished) / rate if rate else 0.0
        note = f", {self._note}" if self._note else ""
        numbers = f"{self._finished}/{self._total}, {rate:.1f}/s, {seconds_left:.0f} s left"
        print(f"{self._description}: {numbers}{note}", file=sys.stderr)
