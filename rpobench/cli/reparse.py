"""`rpobench reparse`: finished runs read once more, as today's version of their tasks reads answers."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import AsJson

if TYPE_CHECKING:
    from rpobench.submissions.reparse import Reparsed


def reparse(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of runs, or of a packed set.")] = Path("runs"),
    data: Annotated[str | None, typer.Option(help="The official folder, where runs are not on synth.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would move, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the stored words of runs once more, where a task has a new version. No model is asked."""
    from rpobench.submissions.reparsed_sets import reparse_runs

    reports = list(reparse_runs(folder, data=data, dry_run=dry_run))
    if as_json:
        print(json.dumps([asdict(report) for report in reports]))
    for report in reports:
        if report.reason is not None:
            print(f"{report.name}: left as it is: {report.reason}", file=sys.stderr)
        elif not as_json:
            print(_format(report))

    left_count = sum(report.reason is not None for report in reports)
    moved_count = sum(report.changed > 0 for report in reports)
    verb = "would be read" if dry_run else "read"
    print(
        f"{folder}: {len(reports) - left_count} runs {verb} again, answers moved in {moved_count}; {left_count} left",
        file=sys.stderr,
    )


def _format(report: Reparsed) -> str:
    """One run in a line: its new name, how many answers moved, and the main metric before and after."""
    line = f"{report.new_name}\t{report.changed} of {report.n} answers"
    if report.metric is not None and report.changed:
        line += f"\t{report.metric} {report.before:.4f} -> {report.after:.4f}"
    if report.other_drafts:
        line += f"\tshown {report.other_drafts} drafts (at least) that are read otherwise today"
    return line
