"""Reports as CSV or JSON: one line for each method, task and metric; or broken down by profile size, label or user."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from rpobench.leaderboard.breakdowns import Group, Kind, group_examples
from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.columns import COLUMNS, Line, Value, csv_lines
from rpobench.leaderboard.published import Reported

from rpobench.terminal import escape_controls

Record = Mapping[str, Value]

NAMES = tuple(column.name for column in COLUMNS if column.in_csv)
BREAKDOWN_NAMES = (
    "method", "task", "metric", "by", "group", "value", "n", "users", "data", "world", "split", "limit", "base_model",
    "data_sha256",
)  # fmt: skip
# First characters of what a spreadsheet would run as a formula; an apostrophe before them makes it a text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """A report as CSV. Numbers that are not known, or belong to the main metric only, are empty."""
    return _format_csv(NAMES, _records(sheets, reported))


def as_json(sheets: Sequence[Sheet], reported: Sequence[Reported] = ()) -> str:
    """The lines of the CSV as an array of objects; what is empty there is null."""
    return _format_json(NAMES, _records(sheets, reported))


def as_breakdown_csv(sheets: Sequence[Sheet], kind: Kind) -> str:
    """Every metric of every group of examples as CSV; see `breakdowns.group_examples`."""
    return _format_csv(BREAKDOWN_NAMES, _breakdown_records(sheets, kind))


def as_breakdown_json(sheets: Sequence[Sheet], kind: Kind) -> str:
    """The same as JSON."""
    return _format_json(BREAKDOWN_NAMES, _breakdown_records(sheets, kind))


def _records(sheets: Sequence[Sheet], reported: Sequence[Reported]) -> list[Record]:
    records: list[Record] = []
    for line in csv_lines(sheets):
        records.append({column.name: column.value_in(line) for column in COLUMNS if column.in_csv})
    for number in reported:
        records.append(_reported_record(number))

    return records


def _reported_record(number: Reported) -> Record:
    row = number.row

    return {
        "method": row.method,
        "task": row.task,
        "metric": row.metric,
        "value": row.value,
        "split": row.split,
        "base_model": row.model,
        "reported_in": f"{number.paper.citation}, {row.table}",
    }


def _breakdown_records(sheets: Sequence[Sheet], kind: Kind) -> list[Record]:
    records: list[Record] = []
    for line in csv_lines(sheets):
        if not line.is_main:
            continue  # a group has all metrics of its cell, so that one line of the cell is enough

        for group in group_examples(line.cell.runs, kind):
            records += [_group_record(line, group, kind, metric) for metric in group.metrics]

    return records


def _group_record(line: Line, group: Group, kind: Kind, metric: str) -> Record:
    data = line.sheet.section.data

    return {
        "method": line.label,
        "task": line.task,
        "metric": metric,
        "by": kind,
        "group": group.name,
        "value": group.metrics[metric],
        "n": group.n,
        "users": group.users,
        "data": data.source,
        "world": data.seed,
        "split": data.split,
        "limit": data.limit,
        "base_model": line.sheet.section.base_model,
        "data_sha256": line.sample.spec.data.sha256,
    }


def _format_csv(names: Sequence[str], records: Iterable[Record]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    for record in records:
        table.writerow({name: _csv_cell(value) for name, value in record.items()})

    return text.getvalue()


def _csv_cell(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = escape_controls(value)
        return f"'{text}" if value.startswith(FORMULA_STARTS) else text

    return "" if _is_unknown(value) else value


def _format_json(names: Sequence[str], records: Iterable[Record]) -> str:
    objects = []
    for record in records:
        objects.append({name: None if _is_unknown(record.get(name)) else record[name] for name in names})

    return json.dumps(objects) + "\n"


def _is_unknown(value: Value) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
