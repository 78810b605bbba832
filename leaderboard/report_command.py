"""`rpobench report`: tables and a page from a folder of runs. The one place where stored runs meet their data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from rpobench.cli.options import (
    ByBaseModel,
    ByData,
    ByLabel,
    ByMethod,
    BySettings,
    ByTask,
    RunsFolders,
    check_choice,
    complete_choices,
    parse_settings,
    split_names,
)
from rpobench.types import UNSCORED, RpobenchError

if TYPE_CHECKING:
    from rpobench.leaderboard.breakdowns import Kind
    from rpobench.leaderboard.cell_stats import Sheet
    from rpobench.leaderboard.html.browser import BrowsedRun
    from rpobench.leaderboard.html.page import PageData

    from rpobench.store.stored_run import StoredRun

FORMATS = ("md", "csv", "latex", "html")
BREAKDOWN_FORMATS = ("csv", "json")


@dataclass(frozen=True)
class PageOptions:
    """What only the page needs.

    Attributes:
        data: The data that was named: official folders, for examples of runs that are not on synthetic data.
        hide_texts: Whether every example's text is left out.
    """

    data: Sequence[str]
    hide_texts: bool


def report(
    runs: RunsFolders = None,
    method: ByMethod = None,
    task: ByTask = None,
    base_model: ByBaseModel = None,
    set_: BySettings = None,
    label: ByLabel = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="[md|csv|latex|html]",
            help="Without: md, or a table on a terminal.",
            autocompletion=complete_choices(*FORMATS),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    against: Annotated[str | None, typer.Option(help="A row: mark what differs from it.")] = None,
    by: Annotated[str | None, typer.Option(metavar="[profile|label|user]", help="With csv: a line for each.")] = None,
    data: ByData = None,
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave every example's text out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines of the CSV as JSON, for programs.")] = False,
) -> None:
    """Tables of all finished runs. Data, splits and prompts that differ stand apart."""
    from rpobench.leaderboard.cell_stats import compute_sheets
    from rpobench.leaderboard.formats.markdown import as_markdown, print_report
    from rpobench.leaderboard.published import read_published
    from rpobench.leaderboard.rows import group_runs
    from rpobench.leaderboard.unscored import list_unscored

    from rpobench.scoring.selection import RunFilter, RunFolders
    from rpobench.store.files import write_text
    from rpobench.terminal import open_console

    chosen_format = _choose_format(format_name, by, as_json=as_json)
    run_filter = RunFilter(
        method=split_names(method),
        task=split_names(task),
        base_model=split_names(base_model),
        settings=parse_settings(set_ or []),
        label=split_names(label),
        data=split_names(data),
    )
    stored_runs = run_filter.select(RunFolders(runs or [Path("runs")]).find_runs())
    unscored = list_unscored(stored_runs)

    sheets = compute_sheets(group_runs([run for run in stored_runs if run.is_scored]), against)
    screen = open_console()
    if chosen_format is None and out is None and screen.is_terminal:
        print_report(sheets, screen, unscored)
        return

    if chosen_format in (None, "md"):
        text = as_markdown(sheets, read_published(), unscored)
    else:
        _note_unscored(unscored)
        text = _format_report(sheets, chosen_format, by, PageOptions(split_names(data), no_text))
    if out:
        write_text(out, text)
    else:
        print(text, end="")


def _note_unscored(unscored: Sequence[Sequence[str]]) -> None:
    """Name on stderr the runs that have no place in a table of scores."""
    for cells in unscored:
        print(f"{cells[-1]}: {UNSCORED}; left out", file=sys.stderr)


def _choose_format(format_name: str | None, by: str | None, *, as_json: bool) -> str | None:
    """The format that these options mean together; None for what suits the output."""
    if as_json and format_name:
        raise RpobenchError(f"--json: is a form of its own, leave --format {format_name} out")

    chosen = "json" if as_json else format_name and check_choice("--format", format_name, FORMATS)
    if by:
        check_choice("--by", by, ("profile", "label", "user"))
        if chosen not in BREAKDOWN_FORMATS:
            raise RpobenchError(f"--by {by}: is for --format csv or --json")
    return chosen


def _format_report(sheets: Sequence[Sheet], format_name: str, by: str | None, options: PageOptions) -> str:
    from rpobench.leaderboard.formats.csv_json import as_breakdown_csv, as_breakdown_json, as_csv, as_json
    from rpobench.leaderboard.formats.latex import as_latex
    from rpobench.leaderboard.html.page import as_html
    from rpobench.leaderboard.published import read_published

    if by:
        format_breakdown = as_breakdown_json if format_name == "json" else as_breakdown_csv
        return format_breakdown(sheets, cast("Kind", by))

    reported = read_published()

    if format_name == "html":
        return as_html(sheets, reported, _page_data(sheets, options))
    formats: dict[str, Callable[..., str]] = {
        "csv": as_csv,
        "json": as_json,
        "latex": as_latex,
    }

    return formats[format_name](sheets, reported)


def _page_data(sheets: Sequence[Sheet], options: PageOptions) -> PageData:
    """Examples of every run with own profiles, and the logs of its fit."""
    from rpobench.leaderboard.columns import main_lines
    from rpobench.leaderboard.html.page import PageData

    browsed_runs, logs_by_fit = [], {}
    for sheet in sheets:
        source = f" · {sheet.section.data.source}" if len(sheets) > 1 else ""
        for line in main_lines(sheet):
            for seed, run in line.cell.own_runs.items():
                name = f"{line.task} · {line.label} · seed {seed}{source}"
                browsed_runs.append(_browse(name, run, options))

                logs = run.training_logs()
                if logs:
                    logs_by_fit[f"{line.label} · {run.spec.fit}"] = logs

    return PageData(browsed_runs, logs_by_fit)


def _choose_folder(run: StoredRun, data: Sequence[str]) -> str | None:
    """The folder that a run's examples are read from; None for synthetic data, and where no folder was named."""
    from rpobench.store.origin import COMMONS

    folders = [name for name in data if Path(name.removeprefix(COMMONS)).is_dir()]
    if run.result.synthetic or not folders:
        return None

    namesakes = []
    for folder in folders:
        if Path(folder.removeprefix(COMMONS)).resolve().name == run.spec.data.source:
            namesakes.append(folder)
    return (namesakes or folders)[0]


def _browse(name: str, run: StoredRun, options: PageOptions) -> BrowsedRun:
    """The run's entries; from the store alone where its data is not at hand, which the note says."""
    from rpobench.leaderboard.html.browser import BrowsedRun

    from rpobench.runs.examples import read_entries, read_stored_entries

    if options.hide_texts or not run.result.texts:
        entries = [entry.without_texts() for entry in read_stored_entries(run)]
        note = "Texts are left out."
    elif run.result.scores_only:
        entries, note = read_stored_entries(run), "Texts are withheld."
    else:
        try:
            entries, note = read_entries(run, data=_choose_folder(run, options.data)), ""
        except RpobenchError as error:
            entries, note = read_stored_entries(run), f"Without input, evidence and target: {error}"

    return BrowsedRun(name, [entry.to_json() for entry in entries], note)
