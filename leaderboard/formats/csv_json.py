"""Reports as CSV or JSON: one line for each method, task and metric; or broken down by profile size, label or user."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rpobench.leaderboard.breakdowns import Group, groups
from rpobench.leaderboard.cell_stats import Figures, Sheet
from rpobench.leaderboard.published import Reported
from rpobench.leaderboard.rows import Cell, natural, unanswered

from rpobench.terminal import escape_controls

COLUMNS = ("method", "task", "metric", "value", "low", "high", "n", "seeds", "data", "split", "base_model", "p_holm")
MORE_COLUMNS = (
    "gain", "gain_low", "gain_high", "strict", "normalized", "average_rank", "against", "synthetic", "imported",
    "reported_in", "users", "seconds", "prompt_tokens", "completion_tokens", "dollars", "data_sha256", "prompt_sha256",
    "kept", "fit_tokens", "fit", "failed", "unanswered",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run; it takes an apostrophe before it for a text
BREAKDOWN = (
    "method", "task", "metric", "by", "group", "value", "n", "users", "data", "world", "split", "limit", "base_model",
    "data_sha256",
)  # fmt: skip


def as_csv(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """Numbers that are not known, or belong to the main metric only, are empty."""
    return _written(COLUMNS + MORE_COLUMNS, _rows(sheets, reported))


def as_json(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """The lines of the CSV as an array of objects; what is empty there is null."""
    return _dumped(COLUMNS + MORE_COLUMNS, _rows(sheets, reported))


def as_breakdown(sheets: Sequence[Sheet], by: str) -> str:
    """Every metric of every group of examples as CSV; see `breakdowns.groups` for `by`."""
    return _written(BREAKDOWN, _groups(sheets, by))


def as_json_breakdown(sheets: Sequence[Sheet], by: str) -> str:
    """The same as JSON."""
    return _dumped(BREAKDOWN, _groups(sheets, by))


def _rows(sheets: Sequence[Sheet], reported: Sequence[Reported]) -> list[dict[str, Any]]:
    rows = [
        _row(sheet, label, task, metric) for sheet, label, task in _cells(sheets) for metric in _metrics(sheet, task)
    ]
    for one in reported:
        row, paper = one.row, one.paper
        shown = {"method": row.method, "task": row.task, "metric": row.metric, "value": row.value, "split": row.split}
        rows.append({**shown, "base_model": row.model, "reported_in": f"{paper.citation}, {row.table}"})
    return rows


def _groups(sheets: Sequence[Sheet], by: str) -> list[dict[str, Any]]:
    rows = []
    for sheet, label, task in _cells(sheets):
        cell, data = sheet.section.cells[label][task], sheet.section.data
        place = {
            "data": data["source"], "world": data["seed"], "split": data["split"], "limit": data["limit"],
            "base_model": sheet.section.base_model, "data_sha256": cell.any["spec"]["data"]["sha256"],
        }  # fmt: skip
        for group in groups(list(cell.own.values()), by):
            rows += [
                {"method": label, "task": task, "metric": metric, "by": by, "value": value, **_counted(group), **place}
                for metric, value in group.metrics.items()
            ]
    return rows


def _counted(group: Group) -> dict[str, Any]:
    return {"group": group.name, "n": group.n, "users": group.users}


def _cells(sheets: Sequence[Sheet]) -> Iterable[tuple[Sheet, str, str]]:
    for sheet in sheets:
        for label, row in sheet.cells.items():
            for task in sorted(row, key=natural):
                yield sheet, label, task


def _metrics(sheet: Sheet, task: str) -> list[str]:
    return list(sheet.section.sample(task)["directions"])


def _row(sheet: Sheet, label: str, task: str, metric: str) -> dict[str, Any]:
    section, figures = sheet.section, sheet.cells[label][task]
    cell, found = section.cells[label][task], figures.intervals[metric]
    run = cell.any
    row = {
        "method": label, "task": task, "metric": metric, "value": figures.values[metric], "n": run["n"],
        "low": found and found.low, "high": found and found.high, "strict": figures.strict[metric],
        "seeds": len(cell.own), "data": section.data["source"], "split": section.data["split"],
        "base_model": section.base_model, "synthetic": run["synthetic"],
        "imported": run.get("imported", False), "against": sheet.against,
        "failed": sum(one["failed"] for one in cell.own.values()), "unanswered": unanswered(cell.own.values()),
        "data_sha256": run["spec"]["data"]["sha256"], "prompt_sha256": run["environment"]["prompt_sha256"],
    }  # fmt: skip
    return row | (_main(sheet, label, figures, run) | _cost(cell) if metric == run["main_metric"] else {})


def _main(sheet: Sheet, label: str, figures: Figures, run: Mapping[str, Any]) -> dict[str, Any]:
    users = len({one["user"] for one in run["examples"].values()}) if "examples" in run else None
    row = {
        "p_holm": figures.p_holm, "gain": figures.gain, "normalized": figures.normalized,
        "average_rank": sheet.ranks[label], "users": users,
    }  # fmt: skip
    if figures.gain_interval:
        row |= {"gain_low": figures.gain_interval.low, "gain_high": figures.gain_interval.high}
    return row


def _cost(cell: Cell) -> dict[str, Any]:
    """Means over seeds of what answering all examples cost; nothing where they were answered elsewhere."""
    runs = list(cell.own.values())
    if any(run.get("imported") for run in runs):
        return {}

    def mean(of: Callable[[Any], float | None]) -> float | None:
        known = [value for value in map(of, runs) if value is not None]
        return sum(known) / len(known) if len(known) == len(runs) else None

    usage = {
        name: mean(lambda run, name=name: run["usage"][name])  # type: ignore[misc]
        for name in ("prompt_tokens", "completion_tokens", "dollars")
    }
    trained = mean(lambda run: sum(run["fit_tokens"].values()) if run.get("fit_tokens") else None)
    return {
        "seconds": mean(lambda run: run["seconds"]),
        "kept": mean(lambda run: run.get("kept")),
        "fit_tokens": trained,
        "fit": " ".join(run["spec"]["fit"] for run in runs if run["spec"]["fit"]),  # tasks may share one
        **usage,
    }


def _written(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    lines = io.StringIO()
    table = csv.DictWriter(lines, columns, restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _cell(value) for name, value in row.items()})
    return lines.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{escape_controls(value)}" if value.startswith(FORMULA) else escape_controls(value)
    return "" if _unknown(value) else value


def _dumped(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    found = [{name: None if _unknown(row.get(name)) else row.get(name) for name in columns} for row in rows]
    return json.dumps(found) + "\n"


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
