"""Reports as Markdown, and in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text
from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import (
    SIGNIFICANT,
    Block,
    Entry,
    arrange_blocks,
    section_heading,
    sheet_caption,
)
from rpobench.leaderboard.formats.summaries import arrange_summaries
from rpobench.leaderboard.published import Reported
from rpobench.leaderboard.unscored import UNSCORED_HEADS

from rpobench.terminal import TableColumn, escape_controls, plain_text, print_columns
from rpobench.types import UNSCORED

REPORTED = "Reported in papers, not run here: other data versions, splits, models and prompts; no test covers them"
REPORTED_HEADS = ("method", "task", "metric", "value", "split", "model", "source")

UNSCORED_TITLE = UNSCORED.capitalize()

MARKDOWN_BY_RANK = {1: "**{}**", 2: "*{}*"}
STYLE_BY_RANK = {1: "bold", 2: "underline"}


def as_markdown(
    sheets: Sequence[Sheet], reported: Sequence[Reported] = (), unscored: Sequence[Sequence[str]] = ()
) -> str:
    """One heading for each data set, split and base model, with its tables; what has no scores stands apart.

    Args:
        sheets: The sections with their figures.
        reported: Numbers that papers report.
        unscored: The cells of `UNSCORED_HEADS` of each unscored run.

    Returns:
        The report.
    """
    parts = [_format_sheet(sheet) for sheet in sheets]
    for heading, blocks in arrange_summaries(sheets).items():
        tables = [f"{_escape(block.title)}\n\n{_format_block(block)}" for block in blocks]
        parts.append("\n\n".join([f"## {heading}", *tables]) + "\n")
    if unscored:
        rows = [list(map(_escape, cells)) for cells in unscored]
        parts.append(f"## {UNSCORED_TITLE}\n\n{_format_table(UNSCORED_HEADS, rows)}\n")
    if reported:
        rows = [list(map(_escape, reported_cells(number))) for number in reported]
        parts.append(f"## {REPORTED}\n\n{_format_table(REPORTED_HEADS, rows)}\n")

    return "\n".join(parts)


def reported_cells(number: Reported) -> list[str]:
    """Write a reported number as the cells of `REPORTED_HEADS`."""
    row = number.row
    source = f"{number.paper.citation}, {row.table}"

    return [row.method, row.task, row.metric, f"{row.value:g}", row.split, row.model, source]


def print_report(sheets: Sequence[Sheet], console: Console, unscored: Sequence[Sequence[str]] = ()) -> None:
    """Print the same tables for a reader at a terminal; a piped one gets them without colours."""
    for sheet in sheets:
        for number, block in enumerate(arrange_blocks(sheet)):
            is_first = number == 0
            title = section_heading(sheet.section) if is_first else block.title
            caption = sheet_caption(sheet) if is_first else ""
            print_columns(_terminal_columns(block), title=title, caption=caption, screen=console)
            console.print()

    for heading, blocks in arrange_summaries(sheets).items():
        for block in blocks:
            print_columns(_terminal_columns(block), title=f"{heading}: {block.title}", screen=console)
            console.print()

    if unscored:
        columns = []
        for position, head in enumerate(UNSCORED_HEADS):
            cells = [plain_text(row[position]) for row in unscored]
            columns.append(TableColumn(head, cells, position, is_name=head in ("method", "task")))
        print_columns(columns, title=UNSCORED_TITLE, screen=console)


def _terminal_columns(block: Block) -> list[TableColumn]:
    """A table's columns; in a narrow window the first tasks stay longest, and the number of seeds goes first."""
    labels = [plain_text(label) for label in block.rows] + [Text(label, "italic dim") for label in block.references]
    columns = [TableColumn("method", labels, is_name=True)]

    for position, head in enumerate(block.heads):
        cells = [_terminal_entry(entries[position]) for entries in block.rows.values()]
        for entries in block.references.values():
            cell = _terminal_entry(entries[position])
            cell.stylize("dim")
            cells.append(cell)
        priority = len(block.heads) + 1 if head == "seeds" else position + 1
        columns.append(TableColumn(head, cells, priority, is_number=True))

    return columns


def _terminal_entry(entry: Entry) -> Text:
    text = Text(entry.figure(), STYLE_BY_RANK.get(entry.rank, ""))
    text.append(entry.bounds(), "not bold not underline dim")
    return text.append(SIGNIFICANT if entry.is_significant else "")


def _format_sheet(sheet: Sheet) -> str:
    parts = [f"## {_escape(section_heading(sheet.section))}", _escape(sheet_caption(sheet, second="italic"))]
    for block in arrange_blocks(sheet):
        if block.title:
            parts.append(block.title)
        parts.append(_format_block(block))

    return "\n\n".join(parts) + "\n"


def _format_block(block: Block) -> str:
    rows = [[_escape(label), *map(_format_entry, entries)] for label, entries in block.rows.items()]
    for label, entries in block.references.items():
        rows.append([f"*{label}*", *map(_format_entry, entries)])

    return _format_table(["method", *map(_escape, block.heads)], rows)


def _format_entry(entry: Entry) -> str:
    figure = MARKDOWN_BY_RANK.get(entry.rank, "{}").format(entry.figure())

    return figure + entry.bounds() + (SIGNIFICANT if entry.is_significant else "")


def _format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    alignment = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, alignment, *rows))


def _escape(text: str) -> str:
    """A text on one line in which nothing is Markdown or HTML; underscores inside words mark nothing up."""
    line = escape_controls(" ".join(text.split()))

    return re.sub(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w))", r"\\\1", line)
