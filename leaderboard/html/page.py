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
from rpobench.leaderboard.costs import COSTS
from rpobench.leaderboard.formats.blocks import arrange_blocks, section_heading, sheet_caption
from rpobench.leaderboard.formats.markdown import REPORTED, REPORTED_HEADS, reported_cells
from rpobench.leaderboard.html.browser import BrowsedRun, browser_json
from rpobench.leaderboard.html.panels import (
    PAGE_COLUMNS,
    break_down,
    page_rows,
    row_numbers,
    task_panels,
    training_curves,
)
from rpobench.leaderboard.published import Reported

from rpobench.store.training_logs import TrainingLogs
from rpobench.terminal import escape_controls

TEMPLATES = Path(__file__).parent / "templates"
MOST_BYTES = 2_900_000  # of a page; examples get what the rest leaves
FIRST_COLUMNS = ("method", "task", "value")  # which the template writes itself, with the interval


@dataclass(frozen=True)
class PageData:
    """What the page shows beside the figures.

    Attributes:
        browsed_runs: Examples to browse.
        logs_by_fit: What the stages of each fit logged, by the name that the page gives the fit.
    """

    browsed_runs: Sequence[BrowsedRun] = ()
    logs_by_fit: Mapping[str, TrainingLogs] = field(default_factory=dict)


def as_html(sheets: Sequence[Sheet], reported: Sequence[Reported], data: PageData) -> str:
    """Write the page. Every text is escaped, and a content security policy names the one script by its hash.

    Args:
        sheets: The sections with their figures.
        reported: Numbers of papers, in a table of their own.
        data: Examples to browse, and logs of trainings to draw.

    Returns:
        One HTML document that loads nothing.
    """
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["plain"] = escape_controls
    template = environment.get_template("page.html")

    content: dict[str, object] = {
        "sheets": [_sheet_content(sheet) for sheet in sheets],
        "columns": [column for column in PAGE_COLUMNS if column.name not in FIRST_COLUMNS],
        "costs": COSTS,
        "kinds": KINDS,
        "curves": training_curves(data.logs_by_fit),
        "fits": len(data.logs_by_fit),
        "reported": [reported_cells(number) for number in reported],
        "reported_title": REPORTED,
        "reported_heads": REPORTED_HEADS,
        "script": Markup(script),
        "style": Markup(style),
        "script_hash": _policy_hash(script),
        "style_hash": _policy_hash(style),
    }
    page_without_examples = template.render(**content, browser=None)
    if not data.browsed_runs:
        return page_without_examples

    bytes_left = MOST_BYTES - len(page_without_examples.encode())
    return template.render(**content, browser=browser_json(data.browsed_runs, bytes_left))


def _sheet_content(sheet: Sheet) -> dict[str, object]:
    tasks = sheet.section.tasks
    breakdowns = {}
    for task in tasks:
        for kind in KINDS:
            groups_by_label = break_down(sheet, task, kind)
            if groups_by_label:
                breakdowns[task, kind] = groups_by_label

    return {
        "heading": section_heading(sheet.section),
        "caption": sheet_caption(sheet),
        "synthetic": sheet.section.synthetic,
        "numbers": row_numbers(sheet),
        "blocks": arrange_blocks(sheet),
        "rows": page_rows(sheet),
        "panels": {task: task_panels(sheet, task) for task in tasks},
        "breakdowns": breakdowns,
    }


def _policy_hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
