"""Reports as Markdown, and in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import SIGNIFICANT, Entry, blocks, caption, heading
from rpobench.leaderboard.published import Reported

from rpobench.terminal import escape_controls, plain_text

REPORTED = "Reported in papers, not run here: other data versions, splits, models and prompts; no test covers them"
REPORTED_HEADS = ("method", "task", "metric", "value", "split", "model", "source")


def as_markdown(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """One heading for each data set, split and base model, with its tables; reported numbers under their own."""
    parts = [_section(sheet) for sheet in sheets]
    if reported:
        rows = [[_plain(cell) for cell in reported_cells(one)] for one in reported]
        parts.append(f"## {REPORTED}\n\n{_table(REPORTED_HEADS, rows)}\n")
    return "\n".join(parts)


def reported_cells(one: Reported) -> list[str]:
    """A reported number as the cells of `REPORTED_HEADS`."""
    row, source = one.row, f"{one.paper.citation}, {one.row.table}"
    return [row.method, row.task, row.metric, f"{row.value:g}", row.split, row.model, source]


def print_report(sheets: Sequence[Sheet], console: Console) -> None:
    """The same tables for a reader at a terminal; a piped one gets them without colours."""
    for sheet in sheets:
        for number, block in enumerate(blocks(sheet)):
            title = heading(sheet.section) if number == 0 else block.title
            table = Table(
                title=plain_text(title), caption=plain_text(caption(sheet)) if number == 0 else None, min_width=60
            )
            table.add_column("method", overflow="fold")
            for head in block.heads:
                table.add_column(plain_text(head), justify="right", overflow="fold")
            for label, row in block.rows.items():
                table.add_row(plain_text(label), *map(_text, row))
            for label, row in block.references.items():
                table.add_row(Text(label, "italic"), *map(_text, row), style="dim")
            console.print(table)


def _section(sheet: Sheet) -> str:
    parts = [f"## {_plain(heading(sheet.section))}", _plain(caption(sheet))]
    for block in blocks(sheet):
        rows = [[_plain(label), *map(_markdown, row)] for label, row in block.rows.items()]
        rows += [[f"*{label}*", *map(_markdown, row)] for label, row in block.references.items()]
        parts += [block.title] if block.title else []
        parts.append(_table(["method", *map(_plain, block.heads)], rows))
    return "\n\n".join(parts) + "\n"


def _markdown(entry: Entry) -> str:
    figure = {1: "**{}**", 2: "<ins>{}</ins>"}.get(entry.place, "{}").format(entry.figure())
    return figure + entry.bounds() + (SIGNIFICANT if entry.mark else "")


def _text(entry: Entry) -> Text:
    made = Text(entry.figure(), {1: "bold", 2: "underline"}.get(entry.place, ""))
    return made.append(entry.bounds(), "not bold not underline dim").append(SIGNIFICANT if entry.mark else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, align, *rows))


def _plain(text: str) -> str:
    """A text on one line in which nothing is Markdown or HTML; underscores inside words mark nothing up."""
    return re.sub(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w))", r"\\\1", escape_controls(" ".join(text.split())))
