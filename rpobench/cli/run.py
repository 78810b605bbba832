"""`rpobench run`: its options, and the table or JSON that ends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rpobench.cli.log import stamp_log
from rpobench.cli.options import (
    EXAMPLES,
    LIMITS,
    MODEL,
    OUTPUT,
    SPLITS,
    AsJson,
    Data,
    Holdout,
    Limit,
    NoSwap,
    Out,
    PresetName,
    Settings,
    Tasks,
    TrainLimit,
    check_choice,
    complete_choices,
    complete_names,
    parse_settings,
    report_interrupt,
)
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.runs.plan import Plan

Methods = Annotated[
    str,
    typer.Option(
        help="Names, comma-separated, or all, untrained, trained; `rpobench list methods` tells of each.",
        autocompletion=complete_names("methods", "all", "untrained", "trained"),
    ),
]
Split = Annotated[
    str,
    typer.Option(
        metavar="[train|dev|test]",
        help="What is scored.",
        rich_help_panel=EXAMPLES,
        autocompletion=complete_choices(*SPLITS),
    ),
]
BaseModel = Annotated[
    str,
    typer.Option(
        help="smollm2-135m, hf:ORG/NAME@REV, hf:DIR, openai:MODEL, litellm:PROVIDER/MODEL",
        autocompletion=complete_names("models"),
    ),
]
Seeds = Annotated[str | None, typer.Option(help="Whole numbers, comma-separated; 0, or those of the preset.")]
Profiles = Annotated[
    str,
    typer.Option(
        metavar="[own|swapped]",
        help="swapped: each example with another user's profile.",
        rich_help_panel=EXAMPLES,
        autocompletion=complete_choices("own", "swapped"),
    ),
]
Adapter = Annotated[str | None, typer.Option(help="A run, or its folder: applies its trained module, trains none.")]
BaseUrl = Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.", rich_help_panel=MODEL)]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Requests at a time to a server.", rich_help_panel=MODEL)]
Serve = Annotated[
    str | None,
    typer.Option(
        help="Command that starts a server for the run; {port} stands where its port goes.", rich_help_panel=MODEL
    ),
]
ServeWait = Annotated[
    float | None,
    typer.Option(help="Seconds until that server must answer; 900 unless given.", rich_help_panel=MODEL),
]
Price = Annotated[
    str | None,
    typer.Option(help="IN,OUT in dollars a million tokens, or a JSON file of them by model.", rich_help_panel=LIMITS),
]
MaxCost = Annotated[
    float | None, typer.Option(min=0, help="Dollars; stops when they are spent.", rich_help_panel=LIMITS)
]
OptionsOfModel = Annotated[
    str | None,
    typer.Option(
        "--model-options",
        help="JSON, or a file of it: temperature, max_tokens, further request content.",
        rich_help_panel=MODEL,
    ),
]
ThinkTokens = Annotated[
    int | None, typer.Option(min=0, help="Tokens for the base model to think in, on top.", rich_help_panel=MODEL)
]
WaitingTime = Annotated[
    float | None,
    typer.Option("--patience", min=0, help="Seconds a rate limit may last; 300.", rich_help_panel=MODEL),
]
RefusedShare = Annotated[
    float,
    typer.Option("--max-refused", min=0, max=1, help="Share of a run without answer.", rich_help_panel=LIMITS),
]
LeftOutShare = Annotated[
    float,
    typer.Option("--max-left-out", min=0, max=1, help="Share of training examples.", rich_help_panel=LIMITS),
]
RetryUnanswered = Annotated[
    bool, typer.Option("--retry-unanswered", help="Ask again what stayed without answer.", rich_help_panel=LIMITS)
]
Label = Annotated[str | None, typer.Option(help="What the rows are called, instead of by method and knobs.")]
Again = Annotated[bool, typer.Option("--again", help="Redo runs and fits that stand in --out; drafts stay.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only estimate calls, tokens, dollars and hours.", rich_help_panel=LIMITS)
]
NoText = Annotated[
    bool,
    typer.Option("--no-text", help="Mark the runs so that `show` leaves texts out.", rich_help_panel=OUTPUT),
]


def run_methods(
    method: Methods,
    task: Tasks,
    data: Data = "synth",
    split: Split = "dev",
    base_model: BaseModel = "smollm2-135m",
    set_: Settings = None,
    preset: PresetName = None,
    limit: Limit = None,
    train_limit: TrainLimit = None,
    seed: Seeds = None,
    holdout: Holdout = None,
    profiles: Profiles = "own",
    no_swap: NoSwap = False,
    adapter: Adapter = None,
    out: Out = Path("runs"),
    base_url: BaseUrl = None,
    concurrency: Concurrency = None,
    serve: Serve = None,
    serve_wait: ServeWait = None,
    price: Price = None,
    max_cost: MaxCost = None,
    model_options: OptionsOfModel = None,
    think_tokens: ThinkTokens = None,
    patience: WaitingTime = None,
    max_refused: RefusedShare = 0.2,
    max_left_out: LeftOutShare = 0.05,
    retry_unanswered: RetryUnanswered = False,
    label: Label = None,
    again: Again = False,
    dry_run: DryRun = False,
    no_text: NoText = False,
    as_json: AsJson = False,
) -> None:
    """Train and score methods on tasks; continues what was interrupted."""
    from rpobench.runs.plan import make_plan

    settings, seeds = parse_settings(set_ or []), None if seed is None else _parse_seeds(seed)
    check_choice("--profiles", profiles, ("own", "swapped"))

    what: dict[str, Any] = {"method": method, "task": task, "settings": settings, "preset": preset, "seeds": seeds}
    what |= {"adapter": adapter, "label": label}
    examples: dict[str, Any] = {"data": data, "split": split, "limit": limit, "train_limit": train_limit}
    examples |= {"holdout": holdout, "profiles": profiles}
    model: dict[str, Any] = {"base_model": base_model, "base_url": base_url, "concurrency": concurrency}
    model |= {"model_options": _parse_model_options(model_options), "think_tokens": think_tokens, "patience": patience}
    server = {"serve": serve, "serve_wait": serve_wait}
    limits: dict[str, Any] = {"max_refused": max_refused, "max_left_out": max_left_out}
    limits |= {"retry_unanswered": retry_unanswered, "price": price, "max_cost": max_cost}
    end = {"swap": not no_swap, "texts": not no_text, "out": out, "again": again}
    plan = make_plan(**what, **examples, **model, **server, **limits, **end)

    execute = _print_estimate if dry_run else _run_plan
    with stamp_log():
        execute(plan, as_json=as_json)


def _print_estimate(plan: Plan, *, as_json: bool) -> None:
    from dataclasses import asdict

    from rpobench.runs.benchmark import rehearse

    estimator = rehearse(plan)
    plan_estimate, hours = estimator.estimate(), estimator.take_time()
    if as_json:
        print(json.dumps({**asdict(plan_estimate), **asdict(hours)}))
    else:
        print("\n".join([plan_estimate.describe(), *hours.describe()]))


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


def _parse_model_options(text: str | None) -> Mapping[str, Any] | None:
    from rpobench.models.served.options import read_model_options

    return None if text is None else read_model_options(text)


def _parse_seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise RpobenchError(f"--seed {text}: give whole numbers, comma-separated") from error
