"""Options that several commands have in common, and how commands read the values they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rpobench.types import RpobenchError

SPLITS = ("train", "dev", "test")
PRESETS = ("quick", "full", "paper-lamp", "paper-hydra")  # of `rpobench.method.presets`, without importing them

# Groups of options in --help.
EXAMPLES = "Examples"
MODEL = "Base model and its server"
LIMITS = "Cost and examples without answer"
OUTPUT = "Output"
CHOICE = "Which runs"


def complete_names(group: str, *more: str) -> Callable[[str], list[str]]:
    """Make what the shell asks for the names of a group; of several, comma-separated, the last is completed.

    Args:
        group: `tasks`, `methods`, `models` or `retrievers`.
        *more: What the option takes beside them.
    """

    def complete(incomplete: str) -> list[str]:
        from rpobench.registry import list_names

        return _complete_last(incomplete, [*list_names(group), *more])

    return complete


def complete_choices(*choices: str) -> Callable[[str], list[str]]:
    """Make what the shell asks for the values of an option that takes one of few."""
    return lambda incomplete: _complete_last(incomplete, choices)


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """List the runs in the folder that the command line names whose names begin so, for the shell."""
    folder = Path(ctx.params.get("runs") or "runs")
    names = sorted(file.parent.name for file in folder.glob("*/spec.json"))

    return [name for name in names if name.startswith(incomplete)]


def _complete_last(incomplete: str, names: Sequence[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


Tasks = Annotated[
    str,
    typer.Option(
        help="Names, comma-separated, or all (LaMP-1 to LaMP-7).", autocompletion=complete_names("tasks", "all")
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="synth, synth:SEED?KNOB=VALUE (another world), synth-v1:SEED (an older one), or a folder.",
        rich_help_panel=EXAMPLES,
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A knob of a method; may be repeated.")
]
PresetName = Annotated[
    str | None,
    typer.Option(
        metavar="[quick|full|paper-lamp|paper-hydra]",
        help="What is shown and how much is done; worlds: quick, folders: full.",
        autocompletion=complete_choices(*PRESETS),
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Most examples scored and trained on; folders: drawn users.", rich_help_panel=EXAMPLES),
]
TrainLimit = Annotated[
    int | None,
    typer.Option(min=1, help="Most examples to train on, in place of --limit.", rich_help_panel=EXAMPLES),
]
Holdout = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of users to score; the rest train.", rich_help_panel=EXAMPLES),
]
NoSwap = Annotated[
    bool, typer.Option("--no-swap", help="Leave out the swapped-profile control.", rich_help_panel=EXAMPLES)
]
Out = Annotated[Path, typer.Option(help="Folder of runs; what is finished there stands.", rich_help_panel=OUTPUT)]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
RunsFolders = Annotated[
    list[Path] | None, typer.Option("--runs", help="Folder of runs; may be repeated; runs if none is.")
]
ByMethod = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="Only these methods or rows, comma-separated.",
        rich_help_panel=CHOICE,
        autocompletion=complete_names("methods"),
    ),
]
ByTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="Only these tasks, comma-separated.",
        rich_help_panel=CHOICE,
        autocompletion=complete_names("tasks"),
    ),
]
ByBaseModel = Annotated[
    str | None,
    typer.Option("--base-model", help="Only these base models, comma-separated.", rich_help_panel=CHOICE),
]
BySettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Only runs with this value of a knob; may be repeated.",
        rich_help_panel=CHOICE,
    ),
]
ByLabel = Annotated[
    str | None, typer.Option("--label", help="Only these labels, comma-separated.", rich_help_panel=CHOICE)
]
ByData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Only runs on this data: synth-v1:11, or an official folder, whose examples a page shows.",
        rich_help_panel=CHOICE,
    ),
]
BySeed = Annotated[
    str | None, typer.Option("--seed", help="Only these seeds, comma-separated.", rich_help_panel=CHOICE)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.", rich_help_panel=OUTPUT)]


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
