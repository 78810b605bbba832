"""The page's browser of examples: what goes in, cut to a size, as JSON that no text can break out of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rpobench.terminal import escape_controls

PER_RUN = (10**9, 200, 100, 60, 40, 20, 10, 4)  # examples of each run, worst and best, tried until they fit
LENGTHS = {"input": 700, "evidence": 240, "trajectory": 900}  # characters; other texts have 500
TEXTS = ("example", "user", "input", "draft", "prediction", "target", "trajectory", "failure")
FIELDS = (*TEXTS, "evidence", "score", "length")  # of an entry, in order; texts by their place in the list of all


@dataclass(frozen=True)
class Browsed:
    """One run's entries as `rpobench show --json` gives them; a text is None where it is not at hand or not shown.

    `note` says what is missing and why.
    """

    name: str
    entries: Sequence[Mapping[str, Any]]
    note: str = ""


def browser_json(runs: Sequence[Browsed], room: int) -> Markup:
    """`{"fields", "texts", "runs": [{"name", "note", "total", "entries"}]}` for a JSON script element.

    Every run keeps as many examples as fit into `room` bytes together, and 4 in any case.
    """
    for most in PER_RUN:
        packed = _packed(runs, most)
        if len(packed.encode()) <= room:
            break
    return Markup(packed)


def _packed(runs: Sequence[Browsed], most: int) -> str:
    texts: dict[str, int] = {}
    held = [
        {
            "name": escape_controls(run.name),
            "note": escape_controls(run.note),
            "total": len(run.entries),
            "entries": [_entry(entry, texts) for entry in _chosen(run.entries, most)],
        }
        for run in runs
    ]
    content = json.dumps(
        {"fields": FIELDS, "texts": list(texts), "runs": held}, ensure_ascii=False, separators=(",", ":")
    )
    for char in "<>&\u2028\u2029":
        content = content.replace(char, f"\\u{ord(char):04x}")
    return content


def _chosen(entries: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """All, or the worst and the best in equal parts, in the order of the data."""
    if len(entries) <= most:
        return list(entries)
    ranked = sorted(range(len(entries)), key=lambda place: entries[place]["score"])
    kept = sorted([*ranked[: most // 2], *ranked[-(most - most // 2) :]])
    return [entries[place] for place in kept]


def _entry(entry: Mapping[str, Any], texts: dict[str, int]) -> list[Any]:
    """The values of `FIELDS`. Inputs, items and drafts are shared by many runs, so each text is kept once."""

    def place(text: str | None, name: str) -> int | None:
        if text is None:
            return None
        return texts.setdefault(_cut(text, LENGTHS.get(name, 500)), len(texts))

    evidence = [place(item, "evidence") for item in entry["evidence"] or ()]
    return [*(place(entry[name], name) for name in TEXTS), evidence, round(entry["score"], 4), entry["length"]]


def _cut(text: str, length: int) -> str:
    more = f" … [{len(text) - length} more characters]" if len(text) > length else ""
    return escape_controls(text[:length]) + more
