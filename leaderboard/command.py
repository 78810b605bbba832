"""`rpobench report`: tables and a page from a folder of runs. The one place where stored runs meet their data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.run_command import choice
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.leaderboard.figures import Sheet

FORMS = ("md", "csv", "latex")


def report(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
    form: Annotated[
        str | None, typer.Option("--format", help="md, csv or latex; without, md or a terminal's table.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    against: Annotated[str | None, typer.Option(help="A row: mark what differs from it.")] = None,
    by: Annotated[str | None, typer.Option(help="With csv: a line for each profile size, label or user.")] = None,
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave every example's text out.")] = False,
) -> None:
    """Tables of all finished runs. Data, splits and prompts that differ stand apart."""
    from rpobench.leaderboard.figures import sheets
    from rpobench.leaderboard.rows import sections
    from rpobench.leaderboard.tables import print_report

    from rpobench.store import ResultStore, write_text
    from rpobench.terminal import console

    form = form and choice("--format", form, FORMS)
    if by and (choice("--by", by, ("profile", "label", "user")), form)[1] != "csv":
        raise RpobenchError(f"--by {by}: is for --format csv")
    results = ResultStore(runs).results()
    if not results:
        raise RpobenchError(f"{runs}: no finished run, make one with `rpobench run`")
    found = sheets(sections(results), against)
    screen = console()
    if form is None and out is None and screen.is_terminal:
        print_report(found, screen)
        return
    text = _text(found, form or "md", by)
    if out:
        write_text(out, text)
    else:
        print(text, end="")


def _text(found: list[Sheet], form: str, by: str | None) -> str:
    from rpobench.leaderboard.csv_tables import as_breakdown, as_csv
    from rpobench.leaderboard.latex import as_latex
    from rpobench.leaderboard.published import published
    from rpobench.leaderboard.tables import as_markdown

    if by:
        return as_breakdown(found, by)
    return {"md": as_markdown, "csv": as_csv, "latex": as_latex}[form](found, published())
