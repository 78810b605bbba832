"""Builds one source into a folder in LaMP's form: reads clones, leaves out, divides people, asks, and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rpobench.data.builders.folder import claim_folder
from rpobench.data.builders.repository import Repository, open_repository
from rpobench.data.builders.sources import SourceKind, get_source
from rpobench.data.builders.task_data import TaskData, build_task, explain_nothing
from rpobench.data.builders.task_rules import TaskRules
from rpobench.data.official.built import BuiltSource
from rpobench.registry import get_task
from rpobench.store.origin import SourceRepository
from rpobench.types import RpobenchError

PROFILE_ITEMS = 30  # at most, where nobody says
PRIVATE = "private"  # what the manifest says of a salt that the user set


@dataclass(frozen=True)
class BuildOptions:
    """What the user of `rpobench data build` chose.

    Attributes:
        tasks: The tasks to make; none for those that the source makes by default.
        least: The fewest writings of a person who counts; None for the source's default.
        profile_items: The most items of a profile.
        since: The first day of a question of dev and test; None for any. Train has questions of any day.
        salt: Is hashed with every name; None for the source's name.
        licence: The licence of the texts; None for the one that all texts of the source have, if they have one.
        removed: Hashed names of people who are left out.
    """

    tasks: tuple[str, ...] = ()
    least: int | None = None
    profile_items: int = PROFILE_ITEMS
    since: date | None = None
    salt: str | None = None
    licence: str | None = None
    removed: frozenset[str] = frozenset()


def build(source: str, repositories: Sequence[str], out: Path, options: BuildOptions) -> BuiltSource:
    """Build a source into a folder, which may hold other sources already.

    Args:
        source: The kind of source, such as `git-log`.
        repositories: The clones, as `--repo` takes them.
        out: The folder.
        options: What the user chose.

    Returns:
        What was made, as it stands in the folder's manifest.

    Raises:
        RpobenchError: A clone or an option is at fault, too little would remain, or the folder cannot take it.
    """
    kind = get_source(source)
    task_names = _choose_tasks(kind, options.tasks)
    clones = sorted(map(open_repository, repositories), key=lambda clone: (clone.commit, clone.folder))
    rules = _make_rules(kind, options)

    folder = claim_folder(out, kind.name)
    parts = []
    for name in task_names:
        parts.append(build_task(get_task(name), kind.readers[name], clones, rules))
    _check_questions(parts, options.tasks, clones, rules)

    built_source = _describe(kind, clones, options, parts)
    folder.add(built_source, parts)
    return built_source


def _choose_tasks(kind: SourceKind, names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in kind.readers:
            raise RpobenchError(f"--task {name}: {kind.name} makes {', '.join(kind.readers)}: choose one of these")
    return names or kind.default_tasks


def _check_questions(
    parts: Sequence[TaskData], asked_tasks: Sequence[str], clones: Sequence[Repository], rules: TaskRules
) -> None:
    """Refuse a source that makes no question of any task, or of one that the user chose."""
    empty_parts = [part for part in parts if not any(part.questions.values())]

    if len(empty_parts) == len(parts) or (empty_parts and asked_tasks):
        raise RpobenchError(explain_nothing(empty_parts, clones, rules))


def _make_rules(kind: SourceKind, options: BuildOptions) -> TaskRules:
    return TaskRules(
        prefix=kind.name,
        salt=kind.name if options.salt is None else options.salt,
        least=kind.least if options.least is None else options.least,
        profile_items=options.profile_items,
        since=options.since,
        removed=options.removed,
    )


def _describe(
    kind: SourceKind, clones: Sequence[Repository], options: BuildOptions, parts: Sequence[TaskData]
) -> BuiltSource:
    repositories = [SourceRepository(name=clone.name, commit=clone.commit, folder=clone.folder) for clone in clones]

    return BuiltSource(
        source=kind.name,
        repositories=tuple(repositories),
        licence=kind.licence if options.licence is None else options.licence,
        least=kind.least if options.least is None else options.least,
        profile_items=options.profile_items,
        since=options.since,
        salt=kind.name if options.salt is None else PRIVATE,
        removed=tuple(sorted(options.removed)),
        counts={part.task.name: part.count() for part in parts},
    )
