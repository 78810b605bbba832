"""`rpobench report`: tables and a page from a folder of runs. The one place where stored runs meet their data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpobench.cli.options import check_choice
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.leaderboard.cell_stats import Sheet
    from rpobench.leaderboard.html.browser import Browsed
    from rpobench.leaderboard.html.page import PageData

FORMS = ("md", "csv", "latex", "html")
EVALUATED = {  # what the training stages log of steps and of evaluations, and its name on the page
    "loss": "loss", "reward": "reward", "parse_rate": "parse rate", "label_entropy": "label entropy in nats",
    "copied_share": "share copied from evidence", "length_ratio": "length against target",
    "facts_lost": "numbers and names lost",
}  # fmt: skip
LOGGED = {
    **EVALUATED,
    **{f"eval_{figure}": f"{name} on held-out users" for figure, name in EVALUATED.items()},
    "reward_std": "spread of the reward", "frac_reward_zero_std": "share of groups without variance", "kl": "KL",
    "completions/mean_length": "length in tokens",
}  # fmt: skip


def report(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
    form: Annotated[
        str | None, typer.Option("--format", help="md, csv, latex or html; without, md or a terminal's table.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    against: Annotated[str | None, typer.Option(help="A row: mark what differs from it.")] = None,
    by: Annotated[str | None, typer.Option(help="With csv: a line for each profile size, label or user.")] = None,
    data: Annotated[
        str | None, typer.Option(help="With html: the official folder, for examples of runs that are not on synth.")
    ] = None,
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave every example's text out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines of the CSV as JSON, for programs.")] = False,
) -> None:
    """Tables of all finished runs. Data, splits and prompts that differ stand apart."""
    from rpobench.leaderboard.cell_stats import sheets
    from rpobench.leaderboard.formats.markdown import print_report
    from rpobench.leaderboard.rows import sections

    from rpobench.store.files import write_text
    from rpobench.store.result_store import ResultStore
    from rpobench.terminal import open_console

    form = _form(form, by, as_json=as_json)
    results = ResultStore(runs).results()
    if not results:
        raise RpobenchError(f"{runs}: no finished run, make one with `rpobench run`")
    found = sheets(sections(results), against)
    screen = open_console()
    if form is None and out is None and screen.is_terminal:
        print_report(found, screen)
        return
    page = _page_data(found, runs, data, no_text=no_text) if form == "html" else None
    text = _text(found, form or "md", by, page)
    if out:
        write_text(out, text)
    else:
        print(text, end="")


def _form(form: str | None, by: str | None, *, as_json: bool) -> str | None:
    """The form that these options mean together; None for what suits the output."""
    if as_json and form:
        raise RpobenchError(f"--json: is a form of its own, leave --format {form} out")
    form = "json" if as_json else form and check_choice("--format", form, FORMS)
    if by and (check_choice("--by", by, ("profile", "label", "user")), form)[1] not in ("csv", "json"):
        raise RpobenchError(f"--by {by}: is for --format csv or --json")
    return form


def _text(found: list[Sheet], form: str, by: str | None, page: PageData | None) -> str:
    from rpobench.leaderboard.formats.csv_json import as_breakdown, as_csv, as_json, as_json_breakdown
    from rpobench.leaderboard.formats.latex import as_latex
    from rpobench.leaderboard.formats.markdown import as_markdown
    from rpobench.leaderboard.html.page import as_html
    from rpobench.leaderboard.published import published

    if by:
        return (as_json_breakdown if form == "json" else as_breakdown)(found, by)
    if page:
        return as_html(found, published(), page)
    return {"md": as_markdown, "csv": as_csv, "json": as_json, "latex": as_latex}[form](found, published())


def _page_data(found: Sequence[Sheet], runs: Path, data: str | None, *, no_text: bool) -> PageData:
    """Examples of every run with own profiles, and the logs of its fit."""
    from rpobench.leaderboard.html.page import PageData

    browsed, fits = [], {}
    for sheet in found:
        for task in sheet.section.tasks:
            for label, row in sheet.section.cells.items():
                for seed, run in row[task].own.items() if task in row else ():
                    name = f"{task} · {label} · seed {seed}" + (f" · {sheet.section.data['source']}" * (len(found) > 1))
                    browsed.append(_browsed(name, run, data, no_text=no_text))
                    if run["spec"]["fit"] and (logs := training_logs(runs / "fits" / run["spec"]["fit"])):
                        fits[f"{label} · {run['spec']['fit']}"] = logs
    return PageData(browsed, fits)


def _browsed(name: str, run: Mapping[str, Any], data: str | None, *, no_text: bool) -> Browsed:
    """The run's entries; from the store alone where its data is not at hand, which the note says."""
    from rpobench.leaderboard.html.browser import Browsed

    from rpobench.runs.examples import entries_of, stored_entries, without_texts

    folder = Path(run["folder"])
    if no_text or not run["texts"]:
        return Browsed(name, without_texts(stored_entries(folder)), "Texts are left out.")
    try:
        return Browsed(name, entries_of(folder, data=data))
    except RpobenchError as error:
        return Browsed(name, stored_entries(folder), f"Without input, evidence and target: {error}")


def training_logs(fit: Path) -> dict[str, list[tuple[float, float]]]:
    """(step, value) pairs of each figure of `LOGGED` that a stage of a fit logged, by stage and name.

    What is no number, as in a training that diverged, is left out. Raises RpobenchError for a line that does not read.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for file in sorted(fit.glob("checkpoint/*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RpobenchError(f"{file}:{number}: is no line of a training log: {error}") from error
            for figure, name in LOGGED.items():
                if figure in entry and "step" in entry and math.isfinite(entry[figure]):
                    found.setdefault(f"{file.stem} {name}", []).append((entry["step"], float(entry[figure])))
    return found
