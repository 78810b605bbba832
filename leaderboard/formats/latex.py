"""Reports as LaTeX: one table environment for each table of a report, with booktabs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import SIGNIFICANT, Block, Entry, blocks, caption, heading
from rpobench.leaderboard.formats.markdown import REPORTED, REPORTED_HEADS, reported_cells
from rpobench.leaderboard.published import Reported

NEEDS = "% needs \\usepackage{booktabs,graphicx}\n"
SPECIAL = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "_": "\\_", "%": "\\%",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "''", "-": "{-}", "`": "\\textasciigrave{}", "'": "\\textquotesingle{}",
    "↑": "$\\uparrow$", "↓": "$\\downarrow$", "≤": "$\\leq$", SIGNIFICANT: "$^{\\dagger}$",
}  # fmt: skip


def as_latex(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """Tables to paste into a paper; compiles with pdflatex, whatever stands in the names."""
    tables = []
    for sheet in sheets:
        for number, block in enumerate(blocks(sheet)):
            name = escaped(heading(sheet.section))
            words = f"{name}. {escaped(caption(sheet))}" if number == 0 else f"{escaped(block.title)}: {name}."
            tables.append(_block(block, words))
    if reported:
        rows = [[escaped(cell) for cell in reported_cells(one)] for one in reported]
        tables.append(_table([escaped(head) for head in REPORTED_HEADS], [rows], escaped(REPORTED), align="lllrlll"))
    return NEEDS + "\n".join(tables)


def escaped(text: str) -> str:
    """A text in which nothing is TeX. Letters that plain pdflatex has stay, other characters become their number."""
    return "".join(
        SPECIAL.get(char) or (char if _plain(char) else f"U+{ord(char):04X}") for char in " ".join(text.split())
    )


def _plain(char: str) -> bool:
    accented = "À" <= char <= "ÿ" and unicodedata.decomposition(char) != ""
    return (char.isascii() and char.isprintable()) or accented


def _block(block: Block, words: str) -> str:
    methods = [[escaped(label), *map(_entry, row)] for label, row in block.rows.items()]
    references = [[f"\\emph{{{escaped(label)}}}", *map(_entry, row)] for label, row in block.references.items()]
    heads = ["method", *map(escaped, block.heads)]
    return _table(heads, [methods, references], words, align="l" + "r" * len(block.heads))


def _table(heads: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], words: str, *, align: str) -> str:
    body = "\\midrule\n".join("".join("{}" + " & ".join(row) + " \\\\\n" for row in rows) for rows in groups if rows)
    return (
        f"\\begin{{table}}[t]\n\\centering\n\\caption{{{words}}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth"
        f"\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{{align}}}\n\\toprule\n{' & '.join(heads)} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}\n"
    )


def _entry(entry: Entry) -> str:
    figure = {1: "\\textbf{%s}", 2: "\\underline{%s}"}.get(entry.place, "%s") % entry.figure().replace("-", "$-$")
    bounds = f"\\,{{\\scriptsize {entry.bounds().strip().replace('-', '$-$')}}}" if entry.bounds() else ""
    return figure + bounds + (SPECIAL[SIGNIFICANT] if entry.mark else "")
