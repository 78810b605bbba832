"""`rpobench check-method`: the duties of a method, on a scripted model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import AsJson, Settings, parse_settings
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.testing.findings import Finding


def check_method(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A method, as its entry point calls it.")],
    task: Annotated[str, typer.Option(help="Names, comma-separated.")] = "LaMP-2,LaMP-3,LaMP-7",
    set_: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Hold a method to its duties on synthetic data and a scripted model, in seconds."""
    from rpobench.registry import get_method
    from rpobench.runs.plan import configure_methods, make_plan
    from rpobench.testing.method_duties import examine_method

    get_method(name)
    (method,) = configure_methods(make_plan(method=name, task=task, settings=parse_settings(set_ or [])))

    findings: list[Finding] = []
    for finding in examine_method(method, [part.strip() for part in task.split(",")]):
        findings.append(finding)
        if not as_json:
            _print_finding(finding)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))

    faults = [finding.fault for finding in findings if finding.fault]
    if faults:
        raise RpobenchError(f"{name}: breaks {len(faults)} of {len(findings)} duties; the first: {faults[0]}")
    if not as_json:
        print(f"{name} keeps its contract")


def _print_finding(finding: Finding) -> None:
    from rpobench.terminal import escape_controls

    verdict = "fault" if finding.fault else "ok"
    print(escape_controls(f"{verdict:5}  {finding.task:6}  {finding.duty}"), flush=True)
    if finding.fault:
        print(escape_controls(f"       {finding.fault}"), flush=True)
