"""`rpobench rm`: runs go with what only they use."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import (
    ByBaseModel,
    ByData,
    ByLabel,
    ByMethod,
    BySeed,
    BySettings,
    ByTask,
    Runs,
    complete_runs,
    parse_settings,
    split_names,
)
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.runs.removal import Removal
    from rpobench.runs.removal_choice import Choice
    from rpobench.scoring.selection import RunFilter
    from rpobench.store.result_store import ResultStore


def remove_runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help="Names, digests or folders of runs, or rows of reports.",
            autocompletion=complete_runs,
        ),
    ] = None,
    runs: Runs = Path("runs"),
    method: ByMethod = None,
    task: ByTask = None,
    base_model: ByBaseModel = None,
    set_: BySettings = None,
    label: ByLabel = None,
    data: ByData = None,
    seed: BySeed = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs with what only they use: controls, fits, drafts. It asks first."""
    from rpobench.runs.removal import finish_interrupted
    from rpobench.scoring.selection import NothingSelected, RunFilter
    from rpobench.store.result_store import ResultStore

    run_filter = RunFilter(
        method=split_names(method),
        task=split_names(task),
        base_model=split_names(base_model),
        settings=parse_settings(set_ or []),
        label=split_names(label),
        data=split_names(data),
        seed=split_names(seed),
    )
    _check_arguments(names or [], run_filter, runs)

    store = ResultStore(runs)
    removed_before = [] if dry_run else finish_interrupted(store)
    if removed_before:
        print(f"{runs}: finished a removal that was interrupted", file=sys.stderr)
    names_left = [name for name in names or [] if name not in removed_before]
    if names and not names_left:
        return

    try:
        choice = _choose(store, names_left, run_filter)
    except NothingSelected:
        if removed_before:
            return
        raise
    _remove(store, choice, names_left, dry_run=dry_run, asks=not yes)


def _check_arguments(names: Sequence[str], run_filter: RunFilter, runs: Path) -> None:
    has_filter = any(vars(run_filter).values())
    if names and has_filter:
        raise RpobenchError(f"rm {names[0]}: name runs or choose them by options such as --method, not both")
    if not names and not has_filter:
        raise RpobenchError("rm: removes what is named: give names of runs, or options such as --method")
    if not runs.is_dir():
        raise RpobenchError(f"--runs {runs}: no such folder: give the --out of `rpobench run`")


def _choose(store: ResultStore, names: Sequence[str], run_filter: RunFilter) -> Choice:
    """What is meant. Packed runs that a filter admits are passed over, unless there is nothing else."""
    from rpobench.runs.removal_choice import choose_by_filter, choose_by_names, refuse_packed

    choice = choose_by_names(store, names) if names else choose_by_filter(store, run_filter)
    if not choice.runs and not choice.fits:
        refuse_packed(store, choice.packed)
    if choice.packed:
        print(f"{store.root}: {len(choice.packed)} packed runs stay, such as {choice.packed[0]}", file=sys.stderr)
    return choice


def _remove(store: ResultStore, choice: Choice, names: Sequence[str], *, dry_run: bool, asks: bool) -> None:
    """List what goes, ask, and remove it."""
    from rpobench.runs.removal import plan_removal, remove

    removal = plan_removal(store, choice)
    _print_removal(removal)
    if dry_run:
        print(f"{store.root}: {_summarize(removal)} would go", file=sys.stderr)
        return

    if asks:
        _ask(removal)
    remove(store, choice, removal, names)
    print(f"{store.root}: {_summarize(removal)} removed", file=sys.stderr)


def _print_removal(removal: Removal) -> None:
    """List what goes, and what others still use: a table on a terminal, lines with tabs elsewhere."""
    from rich.text import Text

    from rpobench.cli.list_ import print_table
    from rpobench.terminal import TableColumn, escape_controls, is_terminal, plain_text

    items = removal.items
    print_table(
        [
            TableColumn("goes", [plain_text(item.path) for item in items], is_name=True),
            TableColumn("what", [plain_text(item.what) for item in items], priority=2),
            TableColumn("size", [Text(_format_size(item.size)) for item in items], priority=1, is_number=True),
        ]
    )
    sys.stdout.flush()
    if is_terminal():
        print(file=sys.stderr)

    for part in removal.staying:
        reader_count = len(part.readers)
        users = part.readers[0].path if reader_count == 1 else f"{reader_count} others, such as {part.readers[0].path}"
        print(f"stays: {escape_controls(part.path)}, used by {escape_controls(users)}", file=sys.stderr)


def _ask(removal: Removal) -> None:
    """Ask on a terminal whether all of it is to go; raise RpobenchError where nobody says so."""
    if not sys.stdin.isatty():
        raise RpobenchError("rm: no terminal to ask on, nothing was removed: give --yes, or --dry-run to look")

    if not typer.confirm(f"Remove {_summarize(removal)}?", err=True):
        raise RpobenchError("nothing was removed")


def _summarize(removal: Removal) -> str:
    """What goes, in numbers."""
    run_count = sum(item.is_run for item in removal.items)
    other_count = len(removal.items) - run_count

    parts = [_count(run_count, "run")] if run_count else []
    if other_count:
        parts.append(_count(other_count, "thing that only they use" if run_count else "fit or leftover"))
    return f"{' and '.join(parts)} ({_format_size(removal.size)})"


def _count(number: int, noun: str) -> str:
    first, _, rest = noun.partition(" ")
    return f"{number} {noun}" if number == 1 else f"{number} {first}s {rest}".strip()


def _format_size(size: int) -> str:
    from rich.filesize import decimal

    return decimal(size)
