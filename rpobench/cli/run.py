"""`rpobench run`: its options, and the table or JSON that ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import (
    AsJson,
    Data,
    Holdout,
    Limit,
    NoSwap,
    Out,
    PresetName,
    Settings,
    Tasks,
    check_choice,
    parse_settings,
    report_interrupt,
)
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.runs.plan import Plan


def run_methods(
    method: Annotated[str, typer.Option(help="Names, comma-separated, or all, untrained, trained.")],
    task: Tasks,
    data: Data = "synth",
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    base_model: Annotated[
        str, typer.Option(help="smollm2-135m, hf:ORG/NAME[@REV], hf:DIR, openai:MODEL")
    ] = "smollm2-135m",
    set_: Settings = None,
    preset: PresetName = "quick",
    limit: Limit = None,
    seed: Annotated[str, typer.Option(help="Whole numbers, comma-separated.")] = "0",
    holdout: Holdout = None,
    profiles: Annotated[str, typer.Option(help="own, or swapped: each example with another user's profile.")] = "own",
    no_swap: NoSwap = False,
    adapter: Annotated[
        str | None,
        typer.Option(help="A run, or its folder: applies its trained module, trains none."),
    ] = None,
    out: Out = Path("runs"),
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests at a time to a server.")] = None,
    price: Annotated[
        str | None, typer.Option(help="IN,OUT in dollars a million tokens, or a JSON file of them by model.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Dollars; stops when they are spent.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate calls, tokens and dollars.")] = False,
    no_text: Annotated[bool, typer.Option("--no-text", help="Mark the runs so that `show` leaves texts out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train and score methods on tasks; continues what was interrupted."""
    from rpobench.runs.plan import make_plan

    plan = make_plan(
        method=method,
        task=task,
        data=data,
        split=split,
        base_model=base_model,
        settings=parse_settings(set_ or []),
        preset=preset,
        limit=limit,
        seeds=_parse_seeds(seed),
        holdout=holdout,
        profiles=check_choice("--profiles", profiles, ("own", "swapped")),
        swap=not no_swap,
        adapter=adapter,
        out=out,
        texts=not no_text,
        base_url=base_url,
        concurrency=concurrency,
        price=price,
        max_cost=max_cost,
    )

    if dry_run:
        _print_estimate(plan, as_json=as_json)
    else:
        _run_plan(plan, as_json=as_json)


def _print_estimate(plan: Plan, *, as_json: bool) -> None:
    from dataclasses import asdict

    from rpobench.runs.benchmark import estimate

    plan_estimate = estimate(plan)
    print(json.dumps(asdict(plan_estimate)) if as_json else plan_estimate.line())


def _run_plan(plan: Plan, *, as_json: bool) -> None:
    from rpobench.cli.summary import print_summary
    from rpobench.data.sources import Source
    from rpobench.runs.benchmark import run as run_plan

    with report_interrupt():
        summaries = run_plan(plan)

    if as_json:
        print(json.dumps([summary.to_json() for summary in summaries]))
    else:
        print_summary(summaries, synthetic=Source(plan.data).synthetic, out=plan.out)


def _parse_seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise RpobenchError(f"--seed {text}: give whole numbers, comma-separated") from error
