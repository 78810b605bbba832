"""`rpobench report`: tables from a folder of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpobench.types import RpobenchError


def report(
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
    form: Annotated[str, typer.Option("--format", help="md or csv.")] = "md",
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave every example's text out; md and csv hold none.")
    ] = False,
) -> None:
    """A table of all finished runs. Data, splits and prompts that differ stand apart."""
    from rpobench.leaderboard.tables import as_csv, as_markdown

    from rpobench.store import ResultStore, write_text

    forms = {"md": as_markdown, "csv": as_csv}
    if form not in forms:
        raise RpobenchError(f"--format {form}: choose one of {', '.join(forms)}")
    results = ResultStore(runs).results()
    if not results:
        raise RpobenchError(f"{runs}: no finished run, make one with `rpobench run`")
    text = forms[form](results)
    if out:
        write_text(out, text)
    else:
        print(text, end="")
