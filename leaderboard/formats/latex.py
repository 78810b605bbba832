"""Reports as LaTeX: one table environment for each table of a report, with booktabs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.across_models import ACROSS
from rpobench.leaderboard.formats.blocks import (
    SIGNIFICANT,
    Block,
    Entry,
    arrange_blocks,
    section_heading,
    sheet_caption,
)
from rpobench.leaderboard.formats.markdown import REPORTED, REPORTED_HEADS, reported_cells
from rpobench.leaderboard.formats.over_draws import OVER_DRAWS
from rpobench.leaderboard.formats.summaries import arrange_summaries
from rpobench.leaderboard.published import Reported

NEEDS = "% needs \\usepackage{booktabs,graphicx}\n"
SPECIAL = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "_": "\\_", "%": "\\%",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "''", "-": "{-}", "`": "\\textasciigrave{}", "'": "\\textquotesingle{}",
    "↑": "$\\uparrow$", "↓": "$\\downarrow$", "≤": "$\\leq$", SIGNIFICANT: "$^{\\dagger}$",
}  # fmt: skip

LABELS = {ACROSS: "models", OVER_DRAWS: "draws"}  # what a text refers to a table by
FORM_BY_RANK = {1: "\\textbf{%s}", 2: "\\underline{%s}"}

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Caption:
    """What stands above a table.

    Attributes:
        text: The caption, as TeX.
        label: What the text refers to the table by. It changes only where tables before it come or go.
    """

    text: str
    label: str


def as_latex(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """Tables to paste into a paper; they compile with pdflatex, whatever stands in the names."""
    tables = []
    for section_number, sheet in enumerate(sheets, start=1):
        name = escape_tex(section_heading(sheet.section))
        for block_number, block in enumerate(arrange_blocks(sheet), start=1):
            is_first = block_number == 1
            title = f"{name}. {escape_tex(sheet_caption(sheet))}" if is_first else f"{escape_tex(block.title)}: {name}."
            label = f"tab:rpobench-{section_number}-{block_number}"
            tables.append(_format_block(block, Caption(title, label)))

    for heading, blocks in arrange_summaries(sheets).items():
        for number, block in enumerate(blocks, start=1):
            title = f"{escape_tex(heading)}: {escape_tex(block.title)}."
            tables.append(_format_block(block, Caption(title, f"tab:rpobench-{LABELS[heading]}-{number}")))

    if reported:
        rows = [list(map(escape_tex, reported_cells(number))) for number in reported]
        heads = [escape_tex(head) for head in REPORTED_HEADS]
        caption = Caption(escape_tex(REPORTED), "tab:rpobench-reported")
        tables.append(_format_table(heads, [rows], caption, alignment="lllrlll"))

    return NEEDS + "\n".join(tables)


def escape_tex(text: str) -> str:
    """Escape a text for TeX. Letters that plain pdflatex has stay, other characters become their number."""
    characters = []
    for char in " ".join(text.split()):
        if char in SPECIAL:
            characters.append(SPECIAL[char])
        elif _is_plain(char):
            characters.append(char)
        else:
            characters.append(f"U+{ord(char):04X}")

    return "".join(characters)


def _is_plain(char: str) -> bool:
    """Whether plain pdflatex prints this character: printable ASCII and the accented letters of Latin-1."""
    is_accented = "À" <= char <= "ÿ" and unicodedata.decomposition(char) != ""

    return (char.isascii() and char.isprintable()) or is_accented


def _format_block(block: Block, caption: Caption) -> str:
    methods = [[escape_tex(label), *map(_format_entry, entries)] for label, entries in block.rows.items()]
    references = []
    for label, entries in block.references.items():
        references.append([f"\\emph{{{escape_tex(label)}}}", *map(_format_entry, entries)])

    heads = ["method", *map(escape_tex, block.heads)]
    return _format_table(heads, [methods, references], caption, alignment="l" + "r" * len(block.heads))


def _format_table(heads: Sequence[str], groups: Sequence[Rows], caption: Caption, *, alignment: str) -> str:
    """A table whose groups of rows are divided by a line. It is made narrower where it is wider than the page."""
    bodies = []
    for rows in groups:
        if rows:
            bodies.append("".join("{}" + " & ".join(row) + " \\\\\n" for row in rows))
    body = "\\midrule\n".join(bodies)

    return (
        f"\\begin{{table}}[t]\n\\centering\n\\caption{{{caption.text}}}\n"
        f"\\label{{{caption.label}}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth"
        f"\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{{alignment}}}\n"
        f"\\toprule\n{' & '.join(heads)} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}\n"
    )


def _format_entry(entry: Entry) -> str:
    figure = FORM_BY_RANK.get(entry.rank, "%s") % entry.figure().replace("-", "$-$")
    bounds = entry.bounds().strip().replace("-", "$-$")
    small_bounds = f"\\,{{\\scriptsize {bounds}}}" if bounds else ""

    return figure + small_bounds + (SPECIAL[SIGNIFICANT] if entry.is_significant else "")
