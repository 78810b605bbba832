"""`rpobench pack`: finished runs as they are committed: three Parquet files, no weights and no drafts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import Runs
from rpobench.types import RpobenchError


def pack(
    out: Annotated[Path, typer.Option(help="The folder to add them to, such as leaderboard/results.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Names or digests; all if none.")] = None,
    runs: Runs = Path("runs"),
    scores_only: Annotated[
        bool, typer.Option("--scores-only", help="Leave every text out; ids, scores, measures and usage stay.")
    ] = False,
) -> None:
    """Pack finished runs to be committed, as Parquet files; weights, drafts and private texts are left out."""
    from rpobench.store.result_store import ResultStore
    from rpobench.submissions.pack import pack_runs

    if out.resolve().is_relative_to(runs.resolve()):
        raise RpobenchError(f"--out {out}: lies in the folder of the runs: name another")

    failures = []
    for outcome in pack_runs(ResultStore(runs), names or [], ResultStore(out), scores_only=scores_only):
        if outcome.reason is None:
            print(outcome.name, f"({outcome.note})" if outcome.note else "", sep="\t" if outcome.note else "")
            continue

        print(f"{outcome.name}: left out: {outcome.reason}", file=sys.stderr)
        # Without names, runs that are not to be committed are passed over.
        if outcome.is_fault or names:
            failures.append(outcome.name)

    if failures:
        raise RpobenchError(f"{failures[0]} was not packed, for the reason above")
