"""`rpobench check`: what a submitted run must pass."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rpobench.cli.options import AsJson
from rpobench.types import RpobenchError


def check(
    folder: Annotated[Path, typer.Argument(metavar="RUN_OR_DIR", help="A run's folder, or a folder of runs.")],
    data: Annotated[str | None, typer.Option(help="The official folder, where a run was not on synth.")] = None,
    as_json: AsJson = False,
) -> None:
    """Form, ids, hashes and duplicates of stored runs; scores are computed anew where the data is at hand."""
    from rpobench.submissions.check import check_runs
    from rpobench.terminal import escape_controls

    reports = check_runs(folder, data)
    if as_json:
        print(json.dumps([asdict(report) for report in reports]))
    else:
        for report in reports:
            verdict = "fault" if report.faults else "ok"
            print(escape_controls(f"{verdict}\t{report.run}"))
            for line in (*report.faults, *report.notes):
                print(escape_controls(f"\t{line}"))

    faulty = [report for report in reports if report.faults]
    if faulty:
        raise RpobenchError(f"{folder}: {len(faulty)} of {len(reports)} runs are not in order: {faulty[0].faults[0]}")
