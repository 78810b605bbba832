"""The kinds of source that data can be built of, by the name that the command takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rpobench.data.builders.front_matter import read_abstracts, read_articles
from rpobench.data.builders.git_log import read_commits
from rpobench.data.builders.proposals import EIPS, PEPS, read_proposals
from rpobench.data.builders.repository import Repository
from rpobench.data.builders.writing import Tally, Writing
from rpobench.types import RpobenchError

Reader = Callable[[Sequence[Repository], Tally], list[Writing]]


@dataclass(frozen=True)
class SourceKind:
    """A kind of source.

    Attributes:
        name: What the command calls it; also the default salt and what ids begin with.
        readers: For each task that it can make, what reads its writings and counts what is left out.
        default_tasks: The tasks that it makes where nobody chooses.
        least: The fewest writings of a person who counts, where nobody says.
        licence: The licence that all texts of this kind have; empty where each repository has its own.
    """

    name: str
    readers: Mapping[str, Reader]
    default_tasks: tuple[str, ...]
    least: int
    licence: str = ""


SOURCES = {
    kind.name: kind
    for kind in (
        SourceKind(
            name="git-log",
            readers={"LaMP-6": read_commits},
            default_tasks=("LaMP-6",),
            least=10,
        ),
        SourceKind(
            name="front-matter",
            readers={"LaMP-4": read_articles, "LaMP-5": read_abstracts},
            default_tasks=("LaMP-4",),
            least=5,
        ),
        SourceKind(
            name="eips",
            readers={"LaMP-5": partial(read_proposals, EIPS), "LaMP-1": partial(read_proposals, EIPS)},
            default_tasks=("LaMP-5", "LaMP-1"),
            least=4,
            licence="CC0-1.0",
        ),
        SourceKind(
            name="peps",
            readers={"LaMP-5": partial(read_proposals, PEPS), "LaMP-1": partial(read_proposals, PEPS)},
            default_tasks=("LaMP-5", "LaMP-1"),
            least=4,
            licence="public domain or CC0-1.0",
        ),
    )
}


def get_source(name: str) -> SourceKind:
    """Return the kind of source of this name; raises RpobenchError where there is none."""
    if name not in SOURCES:
        raise RpobenchError(f"{name}: no such source: choose one of {', '.join(SOURCES)}")
    return SOURCES[name]
