"""`rpobench pack`: finished runs as they are committed: predictions compressed, no weights and no drafts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import Runs
from rpobench.store.result_store import ResultStore
from rpobench.submissions.pack import SPEC, _copy, _unfit
from rpobench.types import RpobenchError


def pack(
    out: Annotated[Path, typer.Option(help="The folder to add them to, such as leaderboard/results.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Names or digests; all if none.")] = None,
    runs: Runs = Path("runs"),
) -> None:
    """Copy finished runs to be committed: predictions compressed; weights, drafts and private texts left out."""
    if out.resolve().is_relative_to(runs.resolve()):
        raise RpobenchError(f"--out {out}: lies in the folder of the runs: name another")

    folders = _find_runs(runs, names or [])
    if not folders:
        raise RpobenchError(f"--runs {runs}: no run in it: give the --out of `rpobench run`")

    failures = []
    for folder in folders:
        is_failure = bool(names)  # without names, runs that are not to be committed are passed over
        try:
            reason = _unfit(folder, out / folder.name)
            if not reason:
                _copy(folder, out / folder.name)
        except RpobenchError as error:
            reason, is_failure = str(error), True

        if not reason:
            print(folder.name)
            continue
        print(f"{folder.name}: left out: {reason}", file=sys.stderr)
        if is_failure:
            failures.append(folder.name)

    if failures:
        raise RpobenchError(f"{failures[0]} was not packed, for the reason above")


def _find_runs(runs: Path, names: list[str]) -> list[Path]:
    """The folders of these runs; of all runs where no name is there."""
    if names:
        store = ResultStore(runs)
        return [store.find_folder(name) for name in names]
    return sorted(file.parent for file in runs.glob(f"*/{SPEC}"))
