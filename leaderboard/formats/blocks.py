"""The tables of a report, before any format: what stands in which cell, and what is marked in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rpobench.leaderboard.cell_stats import Figures, Sheet
from rpobench.leaderboard.rows import Cell, Section

from rpobench.scoring.stats import ALPHA, F1_NOTE, FEW_USERS, Interval

ARROWS = {"max": "↑", "min": "↓"}
REFERENCES = {"best_generic": "best generic", "oracle": "oracle"}
SIGNIFICANT = "†"


@dataclass(frozen=True)
class Entry:
    """A number in a table; `place` is 1 for the best of its column and 2 for the second, `mark` a significance mark."""

    value: float | None
    interval: Interval | None = None
    signed: bool = False
    place: int = 0
    mark: bool = False
    digits: int = 3

    def figure(self) -> str:
        """The number alone."""
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
    """One table: a title, the heads of its columns, and a row of entries for each label. References are no methods."""

    title: str
    heads: Sequence[str]
    rows: Mapping[str, Sequence[Entry]]
    references: Mapping[str, Sequence[Entry]] = field(default_factory=dict)


def blocks(sheet: Sheet) -> list[Block]:
    """Main metrics with ranks; then gains, strict and normalized scores where they say anything; then other metrics."""
    section = sheet.section
    main = [(task, section.sample(task)["main_metric"]) for task in section.tasks]
    other = [(t, metric) for t, first in main for metric in section.sample(t)["directions"] if metric != first]
    found = [_ranked(_metrics("", sheet, main), sheet), _gains(sheet), _strict(sheet, main), _normalized(sheet)]
    found.append(_metrics("Other official metrics", sheet, other))
    return [block for block in found if block.heads and block.rows]


def heading(section: Section) -> str:
    """Data (of a made-up world, which one and how large), split, limit and base model."""
    data, note = section.data, " (synthetic, not LaMP)" if section.synthetic else ""
    size = section.sample(section.tasks[0])["n"]
    world = f", world {data['seed']}, {size} examples a task" if section.synthetic else ""
    limit = f", limit {data['limit']}" if data["limit"] else ""
    users = f", {data['holdout']:g} of the users held out" if data["holdout"] else ""
    return f"{data['source']}{world}, split {data['split']}{limit}{users}{note}, base model {section.base_model}"


def caption(sheet: Sheet) -> str:
    """What the columns rest on, task by task, and what the marks mean."""
    section, told, few = sheet.section, [], False
    for task in section.tasks:
        run = section.sample(task)
        users = len({one["user"] for one in run["examples"].values()}) if "examples" in run else 0
        counted = f" of {users} users" if users else ""
        few |= "f1" in run["directions"] and (users or run["n"]) < FEW_USERS
        inferred = ", users inferred" if run["users"] == "inferred" else ""
        data, prompt = run["spec"]["data"]["sha256"][:8], run["environment"]["prompt_sha256"][:8]
        told.append(f"{run['spec']['task']}: n={run['n']}{counted}{inferred}, data {data}, prompt {prompt}")
    words = f"Scored on {section.data['source']}: " + "; ".join(told) + f". {_versions(section)}"
    words += "↑ higher, ↓ lower is better; the best method of a column is bold, the second underlined; "
    words += "95% intervals over users, and over seeds where there are several."
    words += f" {F1_NOTE}" if few else ""
    words += _without_answer(section)
    if sheet.against:
        words += f" {SIGNIFICANT} differs from {sheet.against} (paired test by user, Holm over tasks, p ≤ {ALPHA:g})."
    return words


def _without_answer(section: Section) -> str:
    """Of which cells a model left examples without answer, as a sentence; "" where of none."""
    told = [
        f"{label} on {task} {cell.unanswered}"
        for label, row in section.cells.items()
        for task, cell in row.items()
        if cell.unanswered
    ]
    why = "They count as wrong, so these cells have neither a gain nor a test; the commands that made them ask again."
    return f" Examples without answer, own and swapped: {', '.join(told)}. {why}" if told else ""


def _versions(section: Section) -> str:
    """Versions of the methods that were changed since their first, as a sentence; "" where there is none."""
    specs = [
        cell.any["spec"] for row in section.cells.values() for cell in row.values() if not cell.any.get("imported")
    ]
    changed = sorted({f"{spec['method']} {spec['version']}" for spec in specs if spec["version"] != "1"})
    return f"Versions of methods beyond the first: {', '.join(changed)}. " if changed else ""


def seeds(row: Mapping[str, Cell]) -> int:
    """How many seeds every cell of a row has at least."""
    return min(len(cell.own) for cell in row.values())


def _metrics(title: str, sheet: Sheet, columns: Sequence[tuple[str, str]]) -> Block:
    section = sheet.section
    heads = [f"{task} {metric} {ARROWS[section.sample(task)['directions'][metric]]}" for task, metric in columns]
    rows = {label: [Entry(seeds(section.cells[label]), digits=0)] for label in sheet.cells}
    for task, metric in columns:
        values = {label: row[task].values[metric] for label, row in sheet.cells.items() if task in row}
        best = sorted(set(values.values()), reverse=section.sample(task)["directions"][metric] == "max")
        for label, row in sheet.cells.items():
            rows[label].append(_entry(row.get(task), metric, best, main=metric == section.sample(task)["main_metric"]))
    references = {}
    for name, shown in REFERENCES.items():
        known = [section.sample(task)["references"].get(name, {}).get(metric) for task, metric in columns]
        if any(value is not None for value in known):
            references[shown] = [Entry(None), *map(Entry, known)]
    return Block(title, ["seeds", *heads] if columns else [], rows, references)


def _entry(figures: Figures | None, metric: str, best: Sequence[float], *, main: bool) -> Entry:
    if figures is None:
        return Entry(None)
    value = figures.values[metric]
    place = best.index(value) + 1 if value in best[:2] else 0
    return Entry(value, figures.intervals[metric], place=place, mark=main and figures.p_holm <= ALPHA)


def _ranked(block: Block, sheet: Sheet) -> Block:
    """With the average rank as last column, where there is anything to rank."""
    if len(sheet.section.tasks) < 2 or len(sheet.cells) < 2:
        return block
    rows = {label: [*row, Entry(sheet.ranks[label], digits=1)] for label, row in block.rows.items()}
    references = {label: [*row, Entry(None)] for label, row in block.references.items()}
    return replace(block, heads=[*block.heads, "average rank"], rows=rows, references=references)


def _gains(sheet: Sheet) -> Block:
    title = "Personalization gain (own minus swapped profiles, in the main metric; positive is better)"
    return _by_task(title, sheet, lambda task, figures: Entry(figures.gain, figures.gain_interval, signed=True))


def _strict(sheet: Sheet, main: Sequence[tuple[str, str]]) -> Block:
    """Only where the text as the model gave it scores otherwise than the answer read from it."""
    metrics = dict(main)
    block = _by_task(
        "Strict: the main metric of the model's text as it is, before an answer is read from it",
        sheet,
        lambda task, figures: Entry(figures.strict[metrics[task]]),
    )
    same = all(f.strict[metrics[t]] == f.values[metrics[t]] for row in sheet.cells.values() for t, f in row.items())
    return replace(block, rows={}) if same else block


def _normalized(sheet: Sheet) -> Block:
    title = "Normalized score (0 is the best answers without a profile, 1 the oracle's: fixed points of the data)"
    return _by_task(title, sheet, lambda task, figures: Entry(figures.normalized))


def _by_task(title: str, sheet: Sheet, entry: Callable[[str, Figures], Entry]) -> Block:
    tasks = sheet.section.tasks
    rows = {
        label: [entry(task, row[task]) if task in row else Entry(None) for task in tasks]
        for label, row in sheet.cells.items()
    }
    known = {label: row for label, row in rows.items() if any(one.value is not None for one in row)}
    return Block(title, tasks, known)
