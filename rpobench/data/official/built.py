"""Keeps `manifest.json` of a folder that `rpobench data build` made: sources, commits, licence, and every file's hash.

No path and no time stands in it, so that the same commits give the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rpobench.data.official.manifest import MANIFEST_NAME, WITHHELD
from rpobench.store.files import write_text
from rpobench.store.origin import DataOrigin, DataSource, SourceRepository
from rpobench.types import RpobenchError

MADE_BY: Final = "rpobench data build"
RULES = 1  # raised when other rules make other files of the same commits


class BuiltCounts(BaseModel):
    """What one source gave to one task.

    Attributes:
        people: The number of people by split.
        questions: The number of questions by split.
        left_out: How many writings and questions were left out, by reason.
        cut_out: How many passages were cut out of texts that stayed, by kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: dict[str, int]
    questions: dict[str, int]
    left_out: dict[str, int]
    cut_out: dict[str, int]


class BuiltSource(BaseModel):
    """What one call of `rpobench data build` made.

    Attributes:
        source: The kind of source, such as `git-log`.
        repositories: What was read, by commit.
        licence: The licence of the texts; empty where nobody said.
        least: The fewest writings of a person who counts.
        profile_items: The most items of a profile.
        since: The first day of a question of dev and test; None for any.
        salt: What was hashed with every name; "private" where the user set another.
        removed: The hashed names of people who were left out on request.
        counts: What was made of each task, and what was left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    repositories: tuple[SourceRepository, ...]
    licence: str
    least: int
    profile_items: int
    since: date | None
    salt: str
    removed: tuple[str, ...]
    counts: dict[str, BuiltCounts]


class BuiltFile(BaseModel):
    """What a file was when it was built: its bytes and the sha256 of them, 64 hex digits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class BuildManifest(BaseModel):
    """The content of `manifest.json`.

    Attributes:
        made_by: The command that wrote it.
        rules: The version of the builder's rules.
        texts: That people's texts stay in the folder: packed runs have scores alone.
        sources: What the data is made of, by the name of the source.
        files: The files by path in the folder, such as `LaMP_6/dev_questions.json`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_by: Literal["rpobench data build"] = MADE_BY
    rules: int = RULES
    texts: Literal["withheld"] = WITHHELD
    sources: tuple[BuiltSource, ...] = ()
    files: dict[str, BuiltFile] = {}

    def origin(self, task_name: str) -> DataOrigin:
        """Say where the examples of a task come from."""
        sources = []
        for built in self.sources:
            counts = built.counts.get(task_name)
            if counts and any(counts.questions.values()):
                since = built.since.isoformat() if built.since else None
                source = DataSource(
                    source=built.source, repositories=list(built.repositories), licence=built.licence, since=since
                )
                sources.append(source)
        return DataOrigin(sources=sources)

    def save(self, folder: Path) -> None:
        """Write `manifest.json`, whole or not at all."""
        write_text(folder / MANIFEST_NAME, self.model_dump_json(indent=1) + "\n")


def read_build_manifest(folder: Path) -> BuildManifest | None:
    """Read the manifest of a built folder.

    Args:
        folder: The folder that holds `LaMP_6` and the like.

    Returns:
        The manifest; None where the folder has none, or that of another command.

    Raises:
        RpobenchError: The file is damaged.
    """
    file = folder / MANIFEST_NAME
    if not file.is_file():
        return None

    content = file.read_bytes()
    if MADE_BY.encode() not in content:
        return None

    try:
        return BuildManifest.model_validate_json(content)
    except ValidationError as error:
        raise RpobenchError(f"{file}: is damaged: build the folder again with `{MADE_BY}`") from error


def find_build_manifest(folder: Path, task_folder_name: str) -> BuildManifest | None:
    """Read the manifest of a built folder, also where a task's own folder is given.

    Args:
        folder: The folder that was built, or that of a task in it.
        task_folder_name: The name of the task's folder, such as `LaMP_6`.

    Returns:
        The manifest; None where the folder was not built, or without this task.
    """
    resolved_folder = folder.resolve()
    built_folder = resolved_folder.parent if resolved_folder.name == task_folder_name else resolved_folder
    manifest = read_build_manifest(built_folder)

    has_task = manifest is not None and any(name.startswith(f"{task_folder_name}/") for name in manifest.files)
    return manifest if has_task else None


def describe_file(file: Path) -> BuiltFile:
    """Describe a file as it is now; reads all of it."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()

    return BuiltFile(size=file.stat().st_size, sha256=digest)


def check_built(file: Path) -> None:
    """Refuse a file of a built folder that is no longer what was built; any other file passes.

    Args:
        file: A file of a task's folder; it may be absent.

    Raises:
        RpobenchError: The file's sha256 differs from that of the manifest.
    """
    task_folder = file.resolve().parent
    manifest = read_build_manifest(task_folder.parent) if file.exists() else None
    built_file = manifest.files.get(f"{task_folder.name}/{file.name}") if manifest else None

    if built_file is not None and describe_file(file) != built_file:
        raise RpobenchError(
            f"{file}: was changed since `{MADE_BY}` made it: build the folder again, or move {MANIFEST_NAME} away"
        )
