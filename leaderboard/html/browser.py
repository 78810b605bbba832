"""The page's browser of examples: what goes in, cut to a size, as JSON that no text can break out of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rpobench.terminal import escape_controls

# How many examples each run keeps, worst and best: the first number with which all runs fit together.
EXAMPLES_PER_RUN = (10**9, 200, 100, 60, 40, 20, 10, 4)
LENGTHS = {"input": 700, "evidence": 240, "trajectory": 900}  # characters; other texts have 500
TEXTS = ("example", "user", "input", "draft", "prediction", "target", "trajectory", "failure")
FIELDS = (*TEXTS, "evidence", "score", "length")  # of an entry, in order; texts by their index in the list of all

Entry = Mapping[str, Any]  # one example as `rpobench show --json` gives it


@dataclass(frozen=True)
class BrowsedRun:
    """One run to browse.

    Attributes:
        name: What the page calls it.
        entries: Its examples; a text is None where it is not at hand or not to be shown.
        note: What is missing, and why.
    """

    name: str
    entries: Sequence[Entry]
    note: str = ""


def browser_json(runs: Sequence[BrowsedRun], most_bytes: int) -> Markup:
    """Write the runs as content of a JSON script element.

    Args:
        runs: The runs.
        most_bytes: Every run keeps as many examples as fit together into so many bytes, and 4 in any case.

    Returns:
        `{"fields", "texts", "runs": [{"name", "note", "total", "entries"}]}`.
    """
    content = ""
    for most_entries in EXAMPLES_PER_RUN:
        content = _pack_runs(runs, most_entries)
        if len(content.encode()) <= most_bytes:
            break

    return Markup(content)


def _pack_runs(runs: Sequence[BrowsedRun], most_entries: int) -> str:
    """The runs with at most so many examples each, as JSON in which no character could end the script element."""
    index_by_text: dict[str, int] = {}
    packed_runs = []
    for run in runs:
        entries = [_pack_entry(entry, index_by_text) for entry in _worst_and_best(run.entries, most_entries)]
        packed_runs.append(
            {
                "name": escape_controls(run.name),
                "note": escape_controls(run.note),
                "total": len(run.entries),
                "entries": entries,
            }
        )

    content = {"fields": FIELDS, "texts": list(index_by_text), "runs": packed_runs}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")

    return text


def _worst_and_best(entries: Sequence[Entry], most_entries: int) -> list[Entry]:
    """All, or the worst and the best in equal parts, in the order of the data."""
    if len(entries) <= most_entries:
        return list(entries)

    ranked = sorted(range(len(entries)), key=lambda index: entries[index]["score"])
    worst = ranked[: most_entries // 2]
    best = ranked[-(most_entries - most_entries // 2) :]

    return [entries[index] for index in sorted([*worst, *best])]


def _pack_entry(entry: Entry, index_by_text: dict[str, int]) -> list[Any]:
    """The values of `FIELDS`. Inputs, items and drafts are shared by many runs, so each text is stored once."""

    def index_of(text: str | None, name: str) -> int | None:
        if text is None:
            return None
        return index_by_text.setdefault(_cut(text, LENGTHS.get(name, 500)), len(index_by_text))

    texts = [index_of(entry[name], name) for name in TEXTS]
    evidence = [index_of(item, "evidence") for item in entry["evidence"] or ()]
    return [*texts, evidence, round(entry["score"], 4), entry["length"]]


def _cut(text: str, length: int) -> str:
    note = f" … [{len(text) - length} more characters]" if len(text) > length else ""

    return escape_controls(text[:length]) + note
