"""`rpobench compare`: paired tests between finished runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def compare(
    runs_: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs or methods; the first against the others.")
    ],
    runs: Annotated[Path, typer.Option("--runs", help="Folder of runs.")] = Path("runs"),
    data: Annotated[str | None, typer.Option(help="Of a method, only the runs on this data: synth-v1:11.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a method, only the runs on this split.")] = None,
    limit: Annotated[int | None, typer.Option(help="Of a method, only the runs with this limit; 0: without.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Paired tests by user: differences with intervals, p-values, effect sizes, and what these data could detect."""
    from rpobench.leaderboard.comparison import chosen_runs, comparisons

    from rpobench.store.result_store import ResultStore

    found = comparisons(chosen_runs(ResultStore(runs), runs_, data=data, split=split, limit=limit))
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)


def _print(found: Mapping[str, Any]) -> None:
    from rich.table import Table

    from rpobench.terminal import escape_controls, open_console, plain_text

    screen = open_console()
    for second in dict.fromkeys(one["second"] for one in found["comparisons"]):
        held = [one for one in found["comparisons"] if one["second"] == second]
        table = Table(title=plain_text(f"{found['first']} against {second}"), caption=_caption(held))
        table.add_column("task")
        table.add_column("metric")
        for name in ("first", "second", "difference", "95% interval", "p", "p Holm", "effect d"):
            table.add_column(name, justify="right")
        table.add_column("users +/=/-", justify="right")
        table.add_column("detectable", justify="right")
        for one in held:
            style = "" if one["p_holm"] is None or one["p_holm"] > 0.05 else "green" if one["gain"] > 0 else "red"
            table.add_row(*map(plain_text, _cells(one)), style=style)
        screen.print(table)
        for line in _lines(held):
            screen.print(plain_text(line))
    for one in found["beats_all"]:
        verdict = "beats every rival" if one["beats"] else "does not beat every rival"
        screen.print(
            plain_text(
                f"{one['task']}: {found['first']} {verdict} (largest p {one['p']:.4f}, Holm {one['p_holm']:.4f})"
            )
        )
    for line in dict.fromkeys(f"{one['task']}: {told}" for one in found["comparisons"] for told in one["warnings"]):
        print(f"warning: {escape_controls(line)}", file=sys.stderr)


def _cells(one: Mapping[str, Any]) -> list[str]:
    arrow = "↑" if one["higher_is_better"] else "↓"
    interval = "-" if one["low"] is None else f"{one['low']:+z.3f} to {one['high']:+z.3f}"
    counted = "-" if one["users"] is None else f"{one['wins']}/{one['ties']}/{one['losses']}"
    return [
        one["task"], f"{one['metric']} {arrow}", f"{one['first_value']:.3f}", f"{one['second_value']:.3f}",
        _figure(one["difference"], "+z.3f"), interval, _figure(one["p"], ".4f"), _figure(one["p_holm"], ".4f"),
        _figure(one["effect_size"], "+z.2f"), counted, _figure(one["detectable"], ".3f"),
    ]  # fmt: skip


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _caption(held: Sequence[Mapping[str, Any]]) -> str:
    from rpobench.scoring.stats import F1_NOTE, FEW_USERS

    seeds = held[0]["seeds"]
    sources = "users and seeds vary" if max(seeds) > 1 else "one seed: says nothing about other seeds"
    caption = f"first minus second, by user; {sources}; Holm over {len({one['task'] for one in held})} task(s)"
    few = any(one["metric"] == "f1" and (one["users"] or FEW_USERS) < FEW_USERS for one in held)
    return f"{caption}. {F1_NOTE}" if few else caption


def _lines(held: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table has no column for: the equivalence of a control, and results too old to be tested."""
    told = []
    for one in held:
        tested = one["equivalence"]
        if tested:
            verdict = "the same" if tested["equivalent"] else "not shown to be the same"
            told.append(
                f"{one['task']} {one['metric']}: own and swapped profiles are {verdict} within {tested['margin']:g} "
                f"(equivalence p {_figure(tested['p'], '.4f')})"
            )
        if one["users"] is None:
            told.append(
                f"{one['task']} {one['metric']}: not tested, schema 1 and other versions of the task keep no measures "
                "for it: run it again"
            )
    return told
