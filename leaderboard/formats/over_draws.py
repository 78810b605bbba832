"""Tables over draws of users: what a protocol that draws several samples of users reports, a mean and its spread."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import ARROWS, Block, Entry
from rpobench.leaderboard.rows import natural_order

from rpobench.store.identity import comparable_identity

OVER_DRAWS = "Over draws of users: the mean of the main metric, and its standard deviation between draws"


def arrange_over_draws(sheets: Sequence[Sheet]) -> list[Block]:
    """Arrange the main metrics of sections that differ in the users that were drawn.

    Args:
        sheets: The sections with their figures.

    Returns:
        A table for each folder, split, size of the sample and base model of which there are several draws. A row has a
        number where it has a run in every draw of the task.
    """
    sheets_by_protocol: dict[tuple[Any, ...], list[Sheet]] = {}
    for sheet in sheets:
        data = sheet.section.data
        if data.sample:
            size = (data.split, data.limit, data.users, data.holdout)
            protocol = (data.source, *size, comparable_identity(sheet.section.base_model))
            sheets_by_protocol.setdefault(protocol, []).append(sheet)

    blocks = []
    for draws in sheets_by_protocol.values():
        seeds = {sheet.section.data.seed for sheet in draws}
        if len(seeds) == len(draws) > 1:
            blocks.append(_make_block(draws))
    return [block for block in blocks if block.rows]


def _make_block(draws: Sequence[Sheet]) -> Block:
    """The table of one protocol: for each task a mean and a standard deviation."""
    tasks = sorted({task for sheet in draws for task in sheet.section.tasks}, key=natural_order)

    heads = []
    rows: dict[str, list[Entry]] = {label: [] for sheet in draws for label in sheet.cells}
    for task in tasks:
        sample = next(sheet.section.sample(task) for sheet in draws if task in sheet.section.tasks)
        heads += [f"{task} {sample.main_metric} {ARROWS[sample.higher_is_better(sample.main_metric)]}", "sd"]

        for label, entries in rows.items():
            values = _collect_values(draws, label, task, sample.main_metric)
            entries += [Entry(fmean(values)), Entry(stdev(values))] if values else [Entry(None), Entry(None)]

    data = draws[0].section.data
    size = f"{data.users} users" if data.users else f"limit {data.limit}"
    title = f"{data.source}, split {data.split}, {size}, {len(draws)} draws, base model {draws[0].section.base_model}"
    return Block(title, heads, {label: rows[label] for label in sorted(rows)})


def _collect_values(draws: Sequence[Sheet], label: str, task: str, metric: str) -> list[float]:
    """A row's value in each draw; none where one lacks it."""
    stats = [sheet.cells.get(label, {}).get(task) for sheet in draws]
    values = [cell.values[metric] for cell in stats if cell is not None]
    return values if len(values) == len(draws) else []
