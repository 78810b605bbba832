"""The tables of a report, before any format: what stands in which cell, and what is marked in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rpobench.leaderboard.cell_stats import CellStats, Sheet
from rpobench.leaderboard.certainty import median_detectable, rests_on_one_trained_seed
from rpobench.leaderboard.columns import COLUMNS, GAIN_TABLE, Column, Line, OwnTable, main_lines
from rpobench.leaderboard.rows import Cell, Section

from rpobench.scoring.references import BEST_OWN_ITEM, FLOORS
from rpobench.scoring.stats import ALPHA, F1_NOTE, FEW_USERS, POWER, Comparison, Interval

ARROWS = {True: "↑", False: "↓"}  # by whether higher is better
SMALLEST = "smallest difference told"
REFERENCES = {
    "best_generic": "best generic",
    "oracle": "oracle",
    **FLOORS,
    BEST_OWN_ITEM: "best own item (looks at the target)",
}
CEILING_NOTE = (
    "Best own item: of the items in a user's profile the one closest to the target, chosen by looking at the target, "
    "for each metric apart; no method that copies one item can do better."
)
SIGNIFICANT = "†"
NOTHING = f"{0:.3f}"


@dataclass(frozen=True)
class Entry:
    """A number in a table.

    Attributes:
        value: The number; None where there is none.
        interval: Its 95% interval.
        signed: Whether a positive number has a plus sign.
        rank: 1 for the best of its column, 2 for the second, 0 for the others.
        is_significant: Whether it differs surely from the chosen row.
        digits: Digits after the point.
    """

    value: float | None
    interval: Interval | None = None
    signed: bool = False
    rank: int = 0
    is_significant: bool = False
    digits: int = 3

    def figure(self) -> str:
        """The number alone; a dash where there is none."""
        if self.value is None or math.isnan(self.value):
            return "-"
        return format(self.value, self._form)

    def bounds(self) -> str:
        """` [low, high]`, or nothing where no interval is known."""
        if self.interval is None or math.isnan(self.interval.low):
            return ""
        return f" [{self.interval.low:{self._form}}, {self.interval.high:{self._form}}]"

    @property
    def _form(self) -> str:
        """Without a minus sign where nothing but zeros is left."""
        return f"{'+' if self.signed else ''}z.{self.digits}f"


@dataclass(frozen=True)
class Block:
    """One table.

    Attributes:
        title: What stands above it; empty for the first of a section.
        heads: The heads of its columns, but for the first, which holds the labels.
        rows: The entries of each row, by label.
        references: The same of references, which are no methods.
    """

    title: str
    heads: Sequence[str]
    rows: Mapping[str, Sequence[Entry]]
    references: Mapping[str, Sequence[Entry]] = field(default_factory=dict)


@dataclass(frozen=True)
class _TaskMetric:
    """A column of a table of metrics."""

    task: str
    metric: str


def arrange_blocks(sheet: Sheet) -> list[Block]:
    """Arrange a sheet's figures in tables.

    Args:
        sheet: A section with its figures.

    Returns:
        Main metrics with ranks; then the tables of columns that have one of their own, where they say anything; then
        the other metrics.
    """
    section = sheet.section
    main_metrics, other_metrics = [], []
    for task in section.tasks:
        sample = section.sample(task)
        main_metrics.append(_TaskMetric(task, sample.main_metric))
        for name in sample.metric_names:
            if name != sample.main_metric:
                other_metrics.append(_TaskMetric(task, name))

    blocks = [_with_ranks(_metrics_block("", sheet, main_metrics), sheet)]
    for column in COLUMNS:
        if column.own_table is not None:
            blocks.append(_column_block(sheet, column, column.own_table))
    blocks.append(_metrics_block("Other official metrics", sheet, other_metrics))

    return [block for block in blocks if block.heads and block.rows]


def section_heading(section: Section) -> str:
    """Name data (of a made-up world, which one and how large), split, limit and base model."""
    data = section.data
    world, note = "", ""
    if section.synthetic:
        size = section.sample(section.tasks[0]).result.n
        world = f", world {data.seed}, {size} examples a task"
        note = " (synthetic, not LaMP)"

    limit = f", limit {data.limit}{_sample_note(section)}" if data.limit else ""
    if data.users:
        limit = f", {data.users} users{_sample_note(section)}"
    holdout = f", {data.holdout:g} of the users held out" if data.holdout else ""
    return f"{data.source}{world}, split {data.split}{limit}{holdout}{note}, base model {section.base_model}"


def _sample_note(section: Section) -> str:
    """Say that the limit left whole users, drawn; nothing where it took the first examples, or all."""
    is_sample = any(section.sample(task).spec.data.sample for task in section.tasks)
    draw = f", draw {section.data.seed}" if section.data.seed else ""
    return f" (a sample of users{draw})" if is_sample else ""


def sheet_caption(sheet: Sheet, *, second: str = "underlined") -> str:
    """Say what the columns rest on, task by task, and what the marks mean; the second best is marked so."""
    section = sheet.section
    facts = "; ".join(_task_facts(section, task) for task in section.tasks)
    sentences = [
        f"Scored on {section.data.source}: {facts}.",
        *_origin_sentences(section),
        *_versions_sentence(section),
        f"↑ higher, ↓ lower is better; the best method of a column is bold, the second {second}; "
        "95% intervals over users, and over seeds where there are several.",
        *_certainty_sentences(sheet),
    ]

    if any(
        section.reference(BEST_OWN_ITEM, task, section.sample(task).main_metric) is not None for task in section.tasks
    ):
        sentences.append(CEILING_NOTE)
    if any(_has_few_for_f1(section, task) for task in section.tasks):
        sentences.append(F1_NOTE)
    sentences += _unanswered_sentence(section)
    sentences += _left_out_sentence(section)
    if sheet.against:
        test = f"paired test by user, Holm over tasks, p ≤ {ALPHA:g}"
        sentences.append(f"{SIGNIFICANT} differs from {sheet.against} ({test}).")

    return " ".join(sentences)


def _origin_sentences(section: Section) -> list[str]:
    """Say where the data comes from and under which licences it is; nothing where it does not say so itself."""
    tasks_by_origin: dict[str, list[str]] = {}
    for task in section.tasks:
        origin = section.origin(task)
        if origin is not None:
            tasks_by_origin.setdefault(origin.describe(), []).append(task)

    return [f"Data of {', '.join(tasks)}: {origin}." for origin, tasks in tasks_by_origin.items()]


def _certainty_sentences(sheet: Sheet) -> list[str]:
    """Say what is never marked, and what the row of the smallest differences is; none of what does not occur."""
    sentences = []
    cells = [cell for row in sheet.section.cells.values() for cell in row.values()]
    if any(map(rests_on_one_trained_seed, cells)):
        sentences.append("One seed of a trained method is never marked: another seed may rank otherwise.")
    if any(certainty.smallest for certainty in sheet.certainty.values()):
        sentences.append(
            f"{SMALLEST.capitalize()}: the true difference that a paired test on these users at {ALPHA:.0%} finds with "
            f"a power of {POWER:.0%}, from the variance of their differences; the median over the best row's rivals."
        )
    return sentences


def _task_facts(section: Section, task: str) -> str:
    """What a task's columns rest on: examples, users, and the first digits of the hashes of data and prompts."""
    run = section.sample(task)
    users = f" of {run.user_count} users" if run.user_count else ""
    inferred = ", users inferred" if run.result.users == "inferred" else ""
    data, prompt = run.spec.data.sha256[:8], run.environment.prompt_sha256[:8]

    return f"{run.spec.task}: n={run.result.n}{users}{inferred}, data {data}, prompt {prompt}"


def _has_few_for_f1(section: Section, task: str) -> bool:
    """Whether a task has macro-F1 from so few users that its interval is not to be trusted."""
    run = section.sample(task)
    return "f1" in run.metric_names and (run.user_count or run.result.n) < FEW_USERS


def _has_ceiling(section: Section, task: str) -> bool:
    return section.reference(BEST_OWN_ITEM, task, section.sample(task).main_metric) is not None


def _versions_sentence(section: Section) -> list[str]:
    """A sentence that names the methods whose version is not the first; none where there is no such method."""
    versions = set()
    for row in section.cells.values():
        for cell in row.values():
            spec = cell.sample.spec
            if spec.version != "1" and not cell.sample.result.imported:
                versions.add(f"{spec.method} {spec.version}")

    return [f"Versions of methods beyond the first: {', '.join(sorted(versions))}."] if versions else []


def _unanswered_sentence(section: Section) -> list[str]:
    """Sentences on the cells in which a model left examples without answer; none where there is no such cell."""
    counts = []
    for label, row in section.cells.items():
        for task, cell in row.items():
            if cell.unanswered:
                counts.append(f"{label} on {task} {cell.unanswered}")

    if not counts:
        return []

    return [
        f"Examples without answer, own and swapped: {', '.join(counts)}.",
        "They count as wrong, so these cells have neither a gain nor a test; --retry-unanswered asks them again.",
    ]


def _left_out_sentence(section: Section) -> list[str]:
    """A sentence on the cells whose fit went without training examples; none where there is no such cell."""
    counts = []
    for label, row in section.cells.items():
        for task, cell in row.items():
            left_out = sum(sum((run.result.fit_left_out or {}).values()) for run in cell.own_runs.values())
            if left_out:
                counts.append(f"{label} on {task} {left_out}")

    return [f"Training examples that the model refused, and that were left out: {', '.join(counts)}."] if counts else []


def count_seeds(row: Mapping[str, Cell]) -> int:
    """Count the seeds that every cell of a row has at least."""
    return min(len(cell.own_runs) for cell in row.values())


def _metrics_block(title: str, sheet: Sheet, columns: Sequence[_TaskMetric]) -> Block:
    """A table of metrics, with the number of seeds first and references below."""
    section = sheet.section

    heads = []
    rows = {label: [Entry(count_seeds(section.cells[label]), digits=0)] for label in sheet.cells}
    for column in columns:
        sample = section.sample(column.task)
        higher_is_better = sample.higher_is_better(column.metric)
        heads.append(f"{column.task} {column.metric} {ARROWS[higher_is_better]}")

        stats = {label: row[column.task] for label, row in sheet.cells.items() if column.task in row}
        cells = {label: section.cells[label][column.task] for label in stats}
        values = {cell_stats.values[column.metric] for cell_stats in stats.values()}
        best = sorted(values, reverse=higher_is_better)[:2]
        for label, entries in rows.items():
            is_main = column.metric == sample.main_metric
            entry = _metric_entry(stats.get(label), column.metric, best, is_main=is_main)
            is_uncertain = label in cells and rests_on_one_trained_seed(cells[label])
            entries.append(replace(entry, rank=0) if is_uncertain else entry)

    smallest = [Entry(sheet.certainty[column.task].smallest.get(column.metric)) for column in columns]
    references = _reference_rows(section, columns) | _smallest_row([Entry(None), *smallest])
    return Block(title, ["seeds", *heads] if columns else [], rows, references)


def _metric_entry(stats: CellStats | None, metric: str, best: Sequence[float], *, is_main: bool) -> Entry:
    """One metric of a cell; `best` has the column's best value and its second best."""
    if stats is None:
        return Entry(None)

    value = stats.values[metric]
    rank = best.index(value) + 1 if value in best else 0
    entry = Entry(value, stats.intervals[metric], rank=rank, is_significant=is_main and stats.p_holm <= ALPHA)

    # Nothing that reads 0.000 is the second best: it is none at all, or no reader can tell it from the best.
    return replace(entry, rank=0) if rank == 2 and entry.figure() == NOTHING else entry


def _reference_rows(section: Section, columns: Sequence[_TaskMetric]) -> dict[str, list[Entry]]:
    """What the references of the data score, by the title of each; one without any value is left out."""
    rows = {}
    for name, title in REFERENCES.items():
        values = [_reference_value(section, name, column) for column in columns]
        if any(value is not None for value in values):
            rows[title] = [Entry(None), *map(Entry, values)]

    return rows


def _reference_value(section: Section, name: str, column: _TaskMetric) -> float | None:
    """A reference's value; None of a floor that stands in the table as a method."""
    if column.task in section.cells.get(REFERENCES[name], {}):
        return None
    return section.reference(name, column.task, column.metric)


def _smallest_row(entries: Sequence[Entry]) -> dict[str, Sequence[Entry]]:
    """The row of the smallest differences; none where no column has one."""
    return {SMALLEST: entries} if any(entry.value is not None for entry in entries) else {}


def _with_ranks(block: Block, sheet: Sheet) -> Block:
    """The block with average rank and tie group as last columns, where there is anything to rank."""
    if len(sheet.section.tasks) < 2 or len(sheet.cells) < 2:
        return block

    added = {"average rank": sheet.ranks}
    groups = {label: sheet.average_group(label) for label in sheet.cells}
    if any(group is not None for group in groups.values()):
        added["average tie group"] = groups

    rows = {}
    for label, entries in block.rows.items():
        rows[label] = [*entries, *(Entry(values[label], digits=1) for values in added.values())]

    references = {label: [*entries, *[Entry(None)] * len(added)] for label, entries in block.references.items()}
    return replace(block, heads=[*block.heads, *added], rows=rows, references=references)


def _column_block(sheet: Sheet, column: Column, own_table: OwnTable) -> Block:
    """The table that a column has for itself; without rows where it says nothing."""
    lines = main_lines(sheet)
    entries: dict[str, dict[str, Entry]] = {}
    for line in lines:
        value = column.value_in(line)
        if isinstance(value, int | float):
            interval = own_table.interval(line)
            entry = Entry(value, interval, signed=own_table.signed, digits=own_table.digits)
            entries.setdefault(line.label, {})[line.task] = entry

    rows = {}
    if own_table.is_needed(lines):
        for label in sheet.cells:
            if label in entries:
                rows[label] = [entries[label].get(task, Entry(None)) for task in sheet.section.tasks]

    smallest = {}
    if own_table is GAIN_TABLE:
        smallest = _smallest_row([Entry(_smallest_gain(lines, task)) for task in sheet.section.tasks])
    return Block(own_table.title, sheet.section.tasks, rows, smallest)


def _smallest_gain(lines: Sequence[Line], task: str) -> float | None:
    """The median over rows of the smallest gain that the users of a task can tell."""
    intervals = [line.stats.gain_interval for line in lines if line.task == task]
    return median_detectable([Comparison(interval, math.nan) for interval in intervals if interval])
