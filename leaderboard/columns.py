"""Every column of a report, declared once: the CSV, the JSON, the tables and the page all read this list.

A new column is a `Column` here, and its figure in `cell_stats` where it is not stored already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rpobench.leaderboard.cell_stats import CellStats, Sheet
from rpobench.leaderboard.costs import Cost, cost_per_example, helped_and_harmed, mean_over_seeds
from rpobench.leaderboard.rows import Cell, count_unanswered, natural_order

from rpobench.scoring.stats import Interval
from rpobench.store.stored_run import StoredRun

Value = str | float | bool | None


@dataclass(frozen=True)
class Line:
    """One metric of one cell: a line of the CSV. Those of the main metric are the rows of the page's long table.

    Attributes:
        sheet: The section with its figures.
        label: The label of the cell's row.
        task: The cell's task.
        metric: The metric.
    """

    sheet: Sheet
    label: str
    task: str
    metric: str

    @property
    def cell(self) -> Cell:
        """The cell's runs."""
        return self.sheet.section.cells[self.label][self.task]

    @property
    def stats(self) -> CellStats:
        """The cell's figures."""
        return self.sheet.cells[self.label][self.task]

    @property
    def sample(self) -> StoredRun:
        """Any run of the cell."""
        return self.cell.sample

    @property
    def is_main(self) -> bool:
        """Whether the metric is the task's main metric."""
        return self.metric == self.sample.main_metric

    @property
    def interval(self) -> Interval | None:
        """The metric's interval."""
        return self.stats.intervals[self.metric]


@dataclass(frozen=True)
class OwnTable:
    """A table that a column has for itself: a row for each method, a column for each task.

    Attributes:
        title: What stands above it.
        interval: The interval of an entry.
        signed: Whether positive numbers have a plus sign.
        is_needed: Whether it says anything, by the lines of the main metrics.
        digits: Digits after the point.
    """

    title: str
    interval: Callable[[Line], Interval | None] = lambda line: None
    signed: bool = False
    is_needed: Callable[[Sequence[Line]], bool] = lambda lines: True
    digits: int = 3


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: Its name in CSV and JSON, and in the page's script.
        value: Its value in a line; None where it is not known.
        main_only: Whether only lines of the main metric have it.
        in_csv: Whether CSV and JSON have it.
        page_title: Its head in the page's long table; None where it does not stand there.
        form: How the page writes its numbers.
        own_table: Its own table in Markdown, LaTeX and on the page.
    """

    name: str
    value: Callable[[Line], Value]
    main_only: bool = False
    in_csv: bool = True
    page_title: str | None = None
    form: str = "z.3f"
    own_table: OwnTable | None = None

    def value_in(self, line: Line) -> Value:
        """The value in a line; None where the line does not have this column."""
        return self.value(line) if line.is_main or not self.main_only else None


def csv_lines(sheets: Sequence[Sheet]) -> Iterator[Line]:
    """A line for each method, task and metric, by row and task."""
    for sheet in sheets:
        for label, row in sheet.cells.items():
            for task in sorted(row, key=natural_order):
                for metric in sheet.section.sample(task).metric_names:
                    yield Line(sheet, label, task, metric)


def main_lines(sheet: Sheet) -> list[Line]:
    """A line for each cell in its main metric, by task and row."""
    lines = []
    for task in sheet.section.tasks:
        metric = sheet.section.sample(task).main_metric
        for label, row in sheet.cells.items():
            if task in row:
                lines.append(Line(sheet, label, task, metric))

    return lines


def _strict_differs(lines: Sequence[Line]) -> bool:
    """Whether reading answers from the models' texts changed any value."""
    return any(line.stats.strict[line.metric] != line.stats.values[line.metric] for line in lines)


def _own_cost(name: str) -> Callable[[Line], Value]:
    """What answering all examples took, the mean over seeds; nothing where they were answered elsewhere."""
    values: dict[str, Callable[[StoredRun], float | None]] = {
        "seconds": lambda run: run.result.seconds,
        "prompt_tokens": lambda run: run.result.usage.prompt_tokens,
        "completion_tokens": lambda run: run.result.usage.completion_tokens,
        "dollars": lambda run: run.result.usage.dollars,
        "kept": lambda run: run.result.kept_draft_share,
        "fit_tokens": lambda run: sum(run.result.fit_tokens.values()) if run.result.fit_tokens else None,
    }
    return lambda line: mean_over_seeds(line.cell, values[name])


def _fits(line: Line) -> Value:
    """The fits of all seeds; tasks may share one. Nothing where the examples were answered elsewhere."""
    if any(run.result.imported for run in line.cell.runs):
        return None

    return " ".join(run.spec.fit for run in line.cell.runs if run.spec.fit)


def _sources(line: Line) -> Value:
    """Where the data comes from; nothing where it does not say so itself."""
    origin = line.sheet.section.origin(line.task)
    return origin.describe() if origin else None


def _licence(line: Line) -> Value:
    origin = line.sheet.section.origin(line.task)
    return origin.licences if origin else None


def _cost_each(cost: Cost) -> Callable[[Line], Value]:
    """What one example cost."""
    return lambda line: cost_per_example(line.cell, cost)


def _helped(line: Line) -> Value:
    shares = helped_and_harmed(line.cell)
    return shares.helped if shares else None


def _harmed(line: Line) -> Value:
    shares = helped_and_harmed(line.cell)
    return shares.harmed if shares else None


def _tie_group(line: Line) -> Value:
    return line.sheet.certainty[line.task].groups.get(line.label)


def _smallest_difference(line: Line) -> Value:
    """What the users of this task can tell in this metric."""
    return line.sheet.certainty[line.task].smallest.get(line.metric)


def _alone(line: Line, source: Literal["users", "seeds"]) -> Interval | None:
    """The interval over one source of variance alone; None where there is one seed."""
    interval = line.interval
    if interval is None or interval.spread is None or interval.spread.seeds < 2:
        return None

    of_users, of_seeds = interval.by_source()
    bounds = of_users if source == "users" else of_seeds
    return replace(interval, low=bounds[0], high=bounds[1]) if bounds else None


def _value_alone(source: Literal["users", "seeds"]) -> Callable[[Line], Value]:
    return lambda line: line.stats.values[line.metric] if _alone(line, source) else None


def _bound_alone(source: Literal["users", "seeds"], bound: Literal["low", "high"]) -> Callable[[Line], Value]:
    def read_bound(line: Line) -> Value:
        interval = _alone(line, source)
        return getattr(interval, bound) if interval else None

    return read_bound


TIE_TABLE = OwnTable(
    "Tie groups in the main metric (1: level with the best; a new group begins where a row differs from the first of "
    "the group above: paired test by user, Holm over the rows below that first one, 5%)",
    digits=0,
)
USERS_TABLE = OwnTable(
    "Over users alone: the main metric with its 95% interval for other users and these seeds",
    interval=lambda line: _alone(line, "users"),
)
SEEDS_TABLE = OwnTable(
    "Over seeds alone: the main metric with its 95% interval for other seeds and these users",
    interval=lambda line: _alone(line, "seeds"),
)
GAIN_TABLE = OwnTable(
    "Personalization gain (own minus swapped profiles, in the main metric; positive is better)",
    interval=lambda line: line.stats.gain_interval,
    signed=True,
)
STRICT_TABLE = OwnTable(
    "Strict: the main metric of the model's text as it is, before an answer is read from it",
    is_needed=_strict_differs,
)
NORMALIZED_TABLE = OwnTable(
    "Normalized score (0 is the best answers without a profile, 1 the oracle's: fixed points of the data)"
)

COLUMNS = (
    Column("method", lambda line: line.label, page_title="method"),
    Column("task", lambda line: line.task, page_title="task"),
    Column("metric", lambda line: line.metric),
    Column("value", lambda line: line.stats.values[line.metric], page_title="score"),
    Column("low", lambda line: line.interval.low if line.interval else None),
    Column("high", lambda line: line.interval.high if line.interval else None),
    Column("n", lambda line: line.sample.result.n, page_title="n", form="d"),
    Column("seeds", lambda line: len(line.cell.own_runs), page_title="seeds", form="d"),
    Column("data", lambda line: line.sheet.section.data.source),
    Column("split", lambda line: line.sheet.section.data.split),
    Column("base_model", lambda line: line.sheet.section.base_model),
    Column("p_holm", lambda line: line.stats.p_holm, main_only=True, page_title="p (Holm)", form=".3g"),
    Column("gain", lambda line: line.stats.gain, True, page_title="gain", form="+z.3f", own_table=GAIN_TABLE),
    Column("gain_low", lambda line: line.stats.gain_interval.low if line.stats.gain_interval else None, True),
    Column("gain_high", lambda line: line.stats.gain_interval.high if line.stats.gain_interval else None, True),
    Column("strict", lambda line: line.stats.strict[line.metric], page_title="strict", own_table=STRICT_TABLE),
    Column("normalized", lambda line: line.stats.normalized, True, page_title="normalized", own_table=NORMALIZED_TABLE),
    Column("average_rank", lambda line: line.sheet.ranks[line.label], True, page_title="average rank", form=".1f"),
    Column("tie_group", _tie_group, True, page_title="tie group", form="d", own_table=TIE_TABLE),
    Column("users_alone", _value_alone("users"), True, in_csv=False, own_table=USERS_TABLE),
    Column("users_low", _bound_alone("users", "low")),
    Column("users_high", _bound_alone("users", "high")),
    Column("seeds_alone", _value_alone("seeds"), True, in_csv=False, own_table=SEEDS_TABLE),
    Column("seeds_low", _bound_alone("seeds", "low")),
    Column("seeds_high", _bound_alone("seeds", "high")),
    Column("smallest_difference", _smallest_difference),
    Column("against", lambda line: line.sheet.against),
    Column("synthetic", lambda line: line.sample.result.synthetic),
    Column("imported", lambda line: line.sample.result.imported),
    Column("reported_in", lambda line: None),  # of numbers that papers report
    Column("users", lambda line: line.sample.user_count, main_only=True),
    Column("seconds", _own_cost("seconds"), main_only=True),
    Column("prompt_tokens", _own_cost("prompt_tokens"), main_only=True),
    Column("completion_tokens", _own_cost("completion_tokens"), main_only=True),
    Column("dollars", _own_cost("dollars"), main_only=True),
    Column("data_sha256", lambda line: line.sample.spec.data.sha256),
    Column("prompt_sha256", lambda line: line.sample.environment.prompt_sha256),
    Column("kept", _own_cost("kept"), main_only=True),
    Column("fit_tokens", _own_cost("fit_tokens"), main_only=True),
    Column("fit", _fits, main_only=True),
    Column("failed", lambda line: sum(run.result.failed for run in line.cell.runs)),
    Column("unanswered", lambda line: count_unanswered(line.cell.runs)),
    Column("sources", _sources),
    Column("licence", _licence),
    Column("helped", _helped, in_csv=False, page_title="helped", form=".0%"),
    Column("harmed", _harmed, in_csv=False, page_title="harmed", form=".0%"),
    Column("tokens_each", _cost_each("tokens"), in_csv=False, page_title="tokens", form=".0f"),
    Column("seconds_each", _cost_each("seconds"), in_csv=False, page_title="seconds", form=".2f"),
    Column("dollars_each", _cost_each("dollars"), in_csv=False, page_title="dollars", form=".4f"),
    Column("training", lambda line: line.sample.result.fit_seconds, in_csv=False, page_title="training s", form=".0f"),
)  # fmt: skip
