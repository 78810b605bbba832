"""`rpobench pack`: finished runs as they are committed: predictions compressed, no weights, no drafts, no half runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rpobench.store.result_store import ResultStore
from rpobench.submissions.pack import SPEC, _copy, _unfit
from rpobench.types import RpobenchError


def pack(
    out: Annotated[Path, typer.Option(help="The folder to add them to, such as leaderboard/results.")],
    chosen: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Names or digests; all if none.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
) -> None:
    """Copy finished runs to be committed: predictions compressed; weights, drafts and private texts left out."""
    if out.resolve().is_relative_to(runs.resolve()):
        raise RpobenchError(f"--out {out}: lies in the folder of the runs: name another")
    store = ResultStore(runs)
    folders = [store.find(name) for name in chosen or ()] or sorted(file.parent for file in runs.glob(f"*/{SPEC}"))
    if not folders:
        raise RpobenchError(f"--runs {runs}: no run in it: give the --out of `rpobench run`")
    refused = []
    for folder in folders:
        wanted = bool(chosen)
        try:
            reason = _unfit(folder, out / folder.name)
            if not reason:
                _copy(folder, out / folder.name)
        except RpobenchError as error:
            reason, wanted = str(error), True
        print(f"{folder.name}: left out: {reason}" if reason else folder.name, file=sys.stderr if reason else None)
        refused += [folder.name] if reason and wanted else []
    if refused:
        raise RpobenchError(f"{refused[0]} was not packed, for the reason above")
