"""Options that several commands have in common, and how commands read the values they are given."""

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
Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
RunsFolders = Annotated[list[Path] | None, typer.Option("--runs", help="Folder of runs; may be repeated. [runs]")]
ByMethod = Annotated[str | None, typer.Option("--method", help="Only these methods or rows, comma-separated.")]
ByTask = Annotated[str | None, typer.Option("--task", help="Only these tasks, comma-separated.")]
ByBaseModel = Annotated[str | None, typer.Option("--base-model", help="Only these base models, comma-separated.")]
BySettings = Annotated[list[str] | None, typer.Option("--set", help="Only runs with this key=value; may be repeated.")]
ByLabel = Annotated[str | None, typer.Option("--label", help="Only these labels, comma-separated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def report_interrupt() -> Iterator[None]:
    """Turn Ctrl-C into one line that says how to go on, since nothing that is finished is lost.

    Raises:
        RpobenchError: The user interrupted the command.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise RpobenchError("stopped; the same command continues where it was") from interrupt


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """Read the values of `--set key=value`.

    Args:
        pairs: The values as they were typed.

    Returns:
        The value of each key.

    Raises:
        RpobenchError: A pair has no key or no equals sign.
    """
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RpobenchError(f"--set {pair}: give key=value")
        settings[key.strip()] = value.strip()

    return settings


def split_names(text: str | None) -> list[str]:
    """Split the value of an option that takes several names at commas; none where it was not given."""
    return [] if text is None else [part.strip() for part in text.split(",")]


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    """Refuse a value that an option does not take.

    Args:
        option: The option as it is typed, such as `--split`.
        value: What the user gave.
        choices: What the option takes.

    Returns:
        The value.

    Raises:
        RpobenchError: The value is not among the choices.
    """
    if value not in choices:
        raise RpobenchError(f"{option} {value}: choose one of {', '.join(choices)}")
    return value
