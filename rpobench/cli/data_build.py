"""`rpobench data build`: data in LaMP's form from clones that the user already has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.cli.options import split_names
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.data.official.built import BuiltSource


def build_data(
    source: Annotated[str, typer.Argument(help="git-log, front-matter, eips or peps.")],
    repo: Annotated[
        list[str], typer.Option(help="A git clone, or NAME=DIR with the name for readers; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write; other sources may stand there already.")],
    task: Annotated[
        str | None, typer.Option(help="Names, comma-separated; by default all that the source makes.")
    ] = None,
    least: Annotated[
        int | None, typer.Option(min=2, help="Writings that a person must have: 10, 5 or 4, by the source.")
    ] = None,
    profile_items: Annotated[int, typer.Option(min=1, help="Most items of a profile; the latest stay.")] = 30,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day of a question of dev and test, such as 2025-01-31.")
    ] = None,
    salt: Annotated[str | None, typer.Option(help="Hashed with every name; the source's name by default.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the texts, for the tables.")] = None,
    leave_out: Annotated[
        str | None, typer.Option(metavar="ID", help="People who asked for it, by user_id, comma-separated.")
    ] = None,
) -> None:
    """Make data in LaMP's form from the history or the files of git clones, without network."""
    from rpobench.data.builders.build import BuildOptions, build

    options = BuildOptions(
        tasks=tuple(split_names(task)),
        least=least,
        profile_items=profile_items,
        since=_parse_day(since),
        salt=salt,
        licence=licence,
        removed=frozenset(split_names(leave_out)),
    )
    _print_counts(build(source, repo, out, options))
    print(out)


def _parse_day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise RpobenchError(f"--since {text}: no day such as 2025-01-31") from error


def _print_counts(built_source: BuiltSource) -> None:
    """Print questions and people of every task and split, and what was left out."""
    for task, counts in built_source.counts.items():
        splits = [
            f"{split} {number} questions of {counts.people[split]} people" for split, number in counts.questions.items()
        ]
        print(f"{task}: {'; '.join(splits)}")
        print(f"{task}: left out: {_join_counts(counts.left_out)}")
        print(f"{task}: cut out of texts: {_join_counts(counts.cut_out)}")


def _join_counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items()) or "nothing"
