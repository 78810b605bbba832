"""Options that `rpobench run` and `rpobench transfer` have in common, and how commands read what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rpobench.types import RpobenchError

Tasks = Annotated[str, typer.Option(help="Names, comma-separated, or all (LaMP-1 to LaMP-7).")]
Data = Annotated[
    str,
    typer.Option(help="synth, synth:SEED?KNOB=VALUE (another world), synth-v1:SEED (an older one), or a folder."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value of a method; may be repeated.")]
PresetName = Annotated[str, typer.Option(help="quick or full.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Examples scored, and training examples a task.")]
Holdout = Annotated[float | None, typer.Option(min=0, max=1, help="Share of users to score; the rest train.")]
NoSwap = Annotated[bool, typer.Option("--no-swap", help="Leave out the swapped-profile control.")]
Out = Annotated[Path, typer.Option(help="Folder of runs; what is finished there stands.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def stoppable() -> Iterator[None]:
    """What Ctrl-C ends is no fault, and nothing finished is lost: one line says so."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise RpobenchError("stopped; the same command continues where it was") from stop


def settings(pairs: list[str]) -> dict[str, str]:
    """The values of `--set key=value`. Raises RpobenchError for one without key or equals sign."""
    given = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RpobenchError(f"--set {pair}: give key=value")
        given[key.strip()] = value.strip()
    return given


def choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    """`value` where it is one of `choices`; else an error that names `option`."""
    if value not in choices:
        raise RpobenchError(f"{option} {value}: choose one of {', '.join(choices)}")
    return value
