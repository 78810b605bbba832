"""`rpobench export`: finished runs as the official submission, a zip of one outputs file a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import Runs
from rpobench.store.files import write_bytes
from rpobench.store.result_store import ResultStore
from rpobench.submissions.official_zip import build_submission


def export(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names, digests or folders, one a task.")],
    out: Annotated[Path, typer.Option(help="The zip to write.")],
    runs: Runs = Path("runs"),
) -> None:
    """Write runs as the official submission, which `rpobench score` reads back."""
    write_bytes(out, build_submission(runs, names))

    store = ResultStore(runs)
    for run in map(store.find, names):
        if run.unanswered_note:
            print(f"{run.name}: {run.unanswered_note}; they stand as empty texts", file=sys.stderr)
