"""Tables across base models: a row for each method, a column for each base model that answered the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.blocks import ARROWS, Block, Entry
from rpobench.leaderboard.rows import natural_order

ACROSS = "Across base models"


@dataclass(frozen=True)
class _Examples:
    """What base models must share to stand in one table: the task with its version, and the scored examples."""

    task: str
    data_sha256: str
    limit: int | None


def arrange_across_models(sheets: Sequence[Sheet]) -> list[Block]:
    """Arrange the main metrics of several sections by base model.

    Args:
        sheets: The sections with their figures.

    Returns:
        A table for each task with the rows that two or more base models have on the same examples.
    """
    sheets_by_examples: dict[_Examples, list[tuple[str, Sheet]]] = {}
    for sheet in sheets:
        for task in sheet.section.tasks:
            spec = sheet.section.sample(task).spec
            examples = _Examples(spec.task, spec.data.sha256, spec.data.limit)
            sheets_by_examples.setdefault(examples, []).append((task, sheet))

    blocks = []
    for examples in sorted(sheets_by_examples, key=lambda examples: natural_order(examples.task)):
        answered = sheets_by_examples[examples]
        base_models = [sheet.section.base_model for _, sheet in answered]
        if len(set(base_models)) == len(base_models) > 1:
            blocks.append(_make_block(answered[0][0], [sheet for _, sheet in answered]))
    return [block for block in blocks if block.rows]


def _make_block(task: str, sheets: Sequence[Sheet]) -> Block:
    """The main metric of one task; a dash stands where a base model lacks a row that two others have."""
    section = sheets[0].section
    sample = section.sample(task)
    metric = sample.main_metric

    labels = sorted({label for sheet in sheets for label, row in sheet.cells.items() if task in row})
    rows = {}
    for label in labels:
        entries = []
        for sheet in sheets:
            stats = sheet.cells.get(label, {}).get(task)
            entries.append(Entry(stats.values[metric], stats.intervals[metric]) if stats else Entry(None))
        if sum(entry.value is not None for entry in entries) > 1:
            rows[label] = entries

    limit = f", limit {section.data.limit}" if section.data.limit else ""
    world = f", world {section.data.seed}" if section.synthetic else ""
    arrow = ARROWS[sample.higher_is_better(metric)]
    data = f"{section.data.source}{world}, split {section.data.split}{limit}, n={sample.result.n}"

    return Block(f"{task} {metric} {arrow} on {data}", [sheet.section.base_model for sheet in sheets], rows)
