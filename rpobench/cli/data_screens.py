"""What `rpobench data check` and `data info` print: folded defects with totals, and tables of splits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rpobench.terminal import escape_controls, open_console, plain_text

if TYPE_CHECKING:
    from rich.table import Table

    from rpobench.data.official.defects import Defect
    from rpobench.data.official.split_statistics import SplitStatistics

RECORDS_NAMED = 5  # of the records behind a folded warning
QUOTED_OR_NUMBER = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+""")
RANGE = ("least", "median", "most")  # of the figures of a summary, as one cell


def list_defect_lines(defects: Sequence[Defect], *, fold: bool = True) -> list[str]:
    """Write defects as lines; warnings of one kind in one file share a line.

    Args:
        defects: The defects, file by file.
        fold: Whether warnings that differ in ids and numbers alone are folded; errors never are.

    Returns:
        A line for each error and each kind of warning, then one with the totals.
    """
    alike: dict[tuple[object, ...], list[Defect]] = {}
    for index, defect in enumerate(defects):
        folds = fold and defect.level == "warning" and defect.record is not None
        kind = (defect.file, QUOTED_OR_NUMBER.sub("", defect.what)) if folds else (index,)
        alike.setdefault(kind, []).append(defect)

    lines = [_defect_line(group) for group in alike.values()]
    return [*lines, count_defects(defects)]


def count_defects(defects: Sequence[Defect]) -> str:
    """Say how many errors and warnings there are, in how many files."""
    errors = sum(defect.level == "error" for defect in defects)
    files = len({defect.file for defect in defects})

    return f"{errors} errors, {len(defects) - errors} warnings in {files} file{'' if files == 1 else 's'}"


def _defect_line(group: Sequence[Defect]) -> str:
    first, *others = group
    line = escape_controls(str(first))
    if not others:
        return line

    records = [str(defect.record) for defect in others[:RECORDS_NAMED]]
    further = ", ..." if len(others) > RECORDS_NAMED else ""
    return f"{line} ({len(others)} more like this: records {', '.join(records)}{further})"


def print_statistics(splits: Sequence[SplitStatistics]) -> None:
    """Print what splits hold as tables: a row a split; its counts, its lengths in tokens, and its labels."""
    screen = open_console()
    screen.print(
        _make_table(
            "what there is; items of a profile: least/median/most",
            COUNT_HEADS,
            [_count_cells(split) for split in splits],
        )
    )
    screen.print(_make_table("tokens: least/median/most", TOKEN_HEADS, [_token_cells(split) for split in splits]))

    for split in splits:
        if split.labels:
            shares = ", ".join(f"{label} {share:.1%}" for label, share in split.labels.items())
            screen.print(plain_text(f"{split.task} {split.split} targets: {shares}"))


COUNT_HEADS = ("task", "split", "examples", "targets", "users", "items", "empty", "dates")
TOKEN_HEADS = ("task", "split", "input", "item", "target")


def _count_cells(split: SplitStatistics) -> list[str]:
    return [
        split.task,
        split.split,
        str(split.examples),
        "-" if split.targets is None else str(split.targets),
        f"{split.users.count} {split.users.ids}",
        _range_cell(split.profile),
        f"{split.profile['empty']:g}",
        split.dates.removesuffix(" items"),
    ]


def _token_cells(split: SplitStatistics) -> list[str]:
    return [split.task, split.split, *(_range_cell(split.tokens[kind]) for kind in TOKEN_HEADS[2:])]


def _range_cell(summary: dict[str, float]) -> str:
    """Least, median and most of a summary, which may be empty."""
    return "/".join(f"{summary[name]:.0f}" for name in RANGE) if len(summary) > 1 else "-"


def _make_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(plain_text, row))

    return table
