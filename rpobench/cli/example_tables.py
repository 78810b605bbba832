"""The tables of `rpobench show`: input, evidence, draft, rewrite and target of an example, with changes in colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from rich.table import Table
from rich.text import Text

from rpobench.rpo.trajectories.file import PARTS, StoredTrajectory
from rpobench.runs.examples import ExampleEntry
from rpobench.terminal import open_console, plain_text
from rpobench.types import UNSCORED

ROWS = ("input", "evidence", "draft", "trajectory", "prediction", "target", "failure")


def print_examples(entries: Sequence[ExampleEntry], *, trajectories: bool) -> None:
    """Print one table an example on stdout.

    Texts of models and data are printed as they are, never as markup or control codes.

    Args:
        entries: The examples, as `rpobench.runs.examples` puts them together.
        trajectories: Whether to print what the reflection model wrote, too.
    """
    screen = open_console()
    for entry in entries:
        table = _make_table(f"{entry.example}   {_format_score(entry)}")
        for name in ROWS:
            if getattr(entry, name) and (name != "trajectory" or trajectories):
                table.add_row(_make_heading(name, entry), _make_cell(name, entry))
        screen.print(table if table.row_count else table.title)


def print_trajectories(file: Path, trajectories: Sequence[StoredTrajectory]) -> None:
    """Print training trajectories on stdout, and how to train with edited ones.

    Args:
        file: The file that they were read from, which the hint names.
        trajectories: Those of it that are printed.
    """
    screen = open_console()
    for stored in trajectories:
        texts = {"draft": stored.draft} | {name: getattr(stored.trajectory, name) for name in PARTS}

        table = _make_table(stored.example_id)
        for name, text in texts.items():
            if text:
                table.add_row(name, plain_text(text))
        screen.print(table)

    hint = f"{file}\nA copy of it, edited, trains another module: --method rpo --set trajectories=FILE"
    screen.print(plain_text(hint), soft_wrap=True)


def _format_score(entry: ExampleEntry) -> str:
    return UNSCORED if entry.score is None else f"score {entry.score:.3f}"


def _make_table(title: str) -> Table:
    table = Table(title=plain_text(title), show_header=False, min_width=60)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _make_heading(name: str, entry: ExampleEntry) -> Text:
    if name == "evidence" and entry.cut:
        return Text(f"evidence\n({entry.cut} tokens cut)")
    return Text("rewrite" if name == "prediction" and entry.draft else name)


def _make_cell(name: str, entry: ExampleEntry) -> Text:
    if name == "evidence":
        return Text("\n").join(plain_text("• " + item.replace("\n", "\n  ")) for item in entry.evidence or ())

    if name in ("draft", "prediction") and entry.draft and entry.prediction:
        draft, rewrite = _mark_changes(entry.draft, entry.prediction)
        return draft if name == "draft" else rewrite

    return plain_text(str(getattr(entry, name)))


def _mark_changes(draft: str, rewrite: str) -> tuple[Text, Text]:
    """Return draft and rewrite with the words that went in red and those that came in green."""
    draft_words = re.findall(r"\s+|\S+", draft)
    rewrite_words = re.findall(r"\s+|\S+", rewrite)
    marked_draft, marked_rewrite = Text(), Text()

    matcher = SequenceMatcher(None, draft_words, rewrite_words, autojunk=False)
    for change, draft_start, draft_end, rewrite_start, rewrite_end in matcher.get_opcodes():
        is_equal = change == "equal"
        draft_part = plain_text("".join(draft_words[draft_start:draft_end]))
        rewrite_part = plain_text("".join(rewrite_words[rewrite_start:rewrite_end]))

        marked_draft.append(draft_part.plain, "" if is_equal else "red")
        marked_rewrite.append(rewrite_part.plain, "" if is_equal else "green")

    return marked_draft, marked_rewrite
