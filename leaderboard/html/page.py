"""The report as one HTML file: tables, charts and examples. It loads nothing, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rpobench.leaderboard.breakdowns import KINDS
from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import blocks, caption, heading
from rpobench.leaderboard.formats.markdown import REPORTED, REPORTED_HEADS, reported_cells
from rpobench.leaderboard.html.browser import Browsed, browser_json
from rpobench.leaderboard.html.panels import COSTS, breakdown, curves, lines, numbers, panels
from rpobench.leaderboard.published import Reported

from rpobench.terminal import escape_controls

TEMPLATES = Path(__file__).parent / "templates"
ROOM = 2_900_000  # bytes of a page; examples get what the rest leaves
COLUMNS = {
    "task": "task", "method": "method", "value": "score", "interval": "95% interval", "gain": "gain",
    "normalized": "normalized", "strict": "strict", "p": "p (Holm)", "rank": "average rank", "helped": "helped",
    "harmed": "harmed", "tokens": "tokens", "seconds": "seconds", "dollars": "dollars", "training": "training s",
    "n": "n", "seeds": "seeds",
}  # fmt: skip


@dataclass(frozen=True)
class PageData:
    """What the store's results alone do not have: examples to browse, and logs of fits, (step, value) by figure."""

    browsed: Sequence[Browsed] = ()
    fits: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] = field(default_factory=dict)


def as_html(sheets: Sequence[Sheet], reported: Sequence[Reported], data: PageData) -> str:
    """The page. Every text goes through escaping; a content security policy names the one script by its hash."""
    script, style = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    made.filters["plain"] = escape_controls
    page, training = made.get_template("page.html"), curves(data.fits)
    facts: dict[str, object] = {
        "sheets": [_section(sheet) for sheet in sheets],
        "columns": COLUMNS,
        "costs": COSTS,
        "kinds": KINDS,
        "curves": training,
        "fits": len(data.fits),
        "reported": [reported_cells(one) for one in reported],
        "reported_title": REPORTED,
        "reported_heads": REPORTED_HEADS,
        "script": Markup(script),
        "style": Markup(style),
        "script_hash": _hash(script),
        "style_hash": _hash(style),
    }
    rest = page.render(**facts, browser=None)
    room = ROOM - len(rest.encode())
    return page.render(**facts, browser=browser_json(data.browsed, room)) if data.browsed else rest


def _section(sheet: Sheet) -> dict[str, object]:
    tasks = sheet.section.tasks
    return {
        "heading": heading(sheet.section),
        "caption": caption(sheet),
        "synthetic": sheet.section.synthetic,
        "numbers": numbers(sheet),
        "blocks": blocks(sheet),
        "lines": lines(sheet),
        "panels": {task: panels(sheet, task) for task in tasks},
        "breakdowns": {(task, by): found for task in tasks for by in KINDS if (found := breakdown(sheet, task, by))},
    }


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
