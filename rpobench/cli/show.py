"""`rpobench show` on a terminal: input, evidence, draft, rewrite and target of each example, changes in colour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rpobench.rpo.trajectories.file import PARTS, StoredTrajectory
from rpobench.terminal import console, plain

ROWS = ("input", "evidence", "draft", "trajectory", "prediction", "target", "failure")


def print_examples(entries: Sequence[Mapping[str, Any]], *, trajectories: bool) -> None:
    """Print entries on stdout; texts from models and data are shown as they are, never as markup or control codes."""
    screen = console()
    for entry in entries:
        table = Table(title=plain(f"{entry['example']}   score {entry['score']:.3f}"), show_header=False, min_width=60)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name in ROWS:
            if entry[name] and (name != "trajectory" or trajectories):
                table.add_row(_title(name, entry), _content(name, entry))
        screen.print(table)


def print_training(file: Path, trajectories: Sequence[StoredTrajectory]) -> None:
    """Print trajectories of a file on stdout, and where to edit them."""
    screen = console()
    for stored in trajectories:
        table = Table(title=plain(stored.example_id), show_header=False, min_width=60)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        texts = {"draft": stored.draft} | {name: getattr(stored.trajectory, name) for name in PARTS}
        for name, text in texts.items():
            if text:
                table.add_row(name, plain(text))
        screen.print(table)
    told = f"{file}\nA copy of it, edited, trains another module: --method rpo --set trajectories=FILE"
    screen.print(plain(told), soft_wrap=True)


def _title(name: str, entry: Mapping[str, Any]) -> Text:
    if name == "evidence" and entry["cut"]:
        return Text(f"evidence\n({entry['cut']} tokens cut)")
    return Text("rewrite" if name == "prediction" and entry["draft"] else name)


def _content(name: str, entry: Mapping[str, Any]) -> Text:
    if name == "evidence":
        return Text("\n").join(plain("• " + item.replace("\n", "\n  ")) for item in entry["evidence"])
    if name in ("draft", "prediction") and entry["draft"] and entry["prediction"]:
        return _changed(entry["draft"], entry["prediction"])[name == "prediction"]
    return plain(str(entry[name]))


def _changed(draft: str, rewrite: str) -> tuple[Text, Text]:
    """Draft and rewrite with the words that went and came in colour."""
    before, after = (re.findall(r"\s+|\S+", text) for text in (draft, rewrite))
    told = Text(), Text()
    for what, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        style = what != "equal"
        told[0].append(plain("".join(before[a:b])).plain, "red" if style else "")
        told[1].append(plain("".join(after[c:d])).plain, "green" if style else "")
    return told
