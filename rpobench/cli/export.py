"""`rpobench export`: finished runs as the official submission, a zip of one outputs file a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import SPLITS, Runs, complete_choices
from rpobench.store.files import write_bytes


def export(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Rows of reports, labels, methods or runs; one run a task.")
    ],
    out: Annotated[Path, typer.Option(help="The zip to write.")],
    runs: Runs = Path("runs"),
    split: Annotated[
        str | None,
        typer.Option(
            metavar="[train|dev|test]", help="Only runs on this split.", autocompletion=complete_choices(*SPLITS)
        ),
    ] = None,
) -> None:
    """Write runs as the official submission, which `rpobench score` reads back."""
    from rpobench.submissions.official_zip import build_submission, choose_submitted, describe_gaps

    chosen_runs = choose_submitted(runs, names, split)
    write_bytes(out, build_submission(chosen_runs))

    for sentence in describe_gaps(chosen_runs):
        print(sentence, file=sys.stderr)
