"""Writes what was built: the official files and the manifest, beside what other sources gave to the same folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpobench.data.builders.task_data import TaskData
from rpobench.data.official.built import (
    BuildManifest,
    BuiltFile,
    BuiltSource,
    check_built,
    describe_file,
    read_build_manifest,
)
from rpobench.data.official.golds import official_name, read_json
from rpobench.data.official.writer import question_record, to_json
from rpobench.store.files import write_text
from rpobench.store.whole_folder import whole_folder
from rpobench.types import RpobenchError

Records = list[dict[str, Any]]


def claim_folder(folder: Path, source: str) -> BuiltFolder:
    """Refuse a folder that cannot take a source, before anything is read.

    Args:
        folder: The folder; it need not exist.
        source: The source that is to be added.

    Returns:
        The folder as it is now.

    Raises:
        RpobenchError: Something else is in the folder, this source already, or a file that was changed since.
    """
    if folder.exists() and not folder.is_dir():
        raise RpobenchError(f"--out {folder}: is a file: name a folder")

    manifest = read_build_manifest(folder)
    if manifest is None and folder.exists() and any(folder.iterdir()):
        raise RpobenchError(f"--out {folder}: holds something else: name another folder")
    if manifest and any(built_source.source == source for built_source in manifest.sources):
        raise RpobenchError(f"--out {folder}: {source} stands there already: name another folder")

    for name in manifest.files if manifest else ():
        check_built(folder / name)
    return BuiltFolder(folder, manifest)


class BuiltFolder:
    """A folder of built data.

    Args:
        folder: The folder.
        manifest: What it holds; None for nothing.
    """

    def __init__(self, folder: Path, manifest: BuildManifest | None) -> None:
        self._folder = folder
        self._manifest = manifest or BuildManifest()

    def add(self, built_source: BuiltSource, parts: Sequence[TaskData]) -> None:
        """Write a source's questions and outputs, and the manifest last.

        The order of a file is that of its ids' hashes: people and sources stand mixed, so that the first questions of
        a file are a sample, and the order in which sources are built changes nothing.

        Args:
            built_source: What the manifest says of the source.
            parts: Its data, task by task.

        Raises:
            RpobenchError: The folder was changed since it was claimed, or the disk is full.
        """
        if (read_build_manifest(self._folder) or BuildManifest()) != self._manifest:
            raise RpobenchError(f"--out {self._folder}: another build wrote there meanwhile: run the command again")

        if self._folder.exists():
            self._write_all(self._folder, built_source, parts)
        else:
            with whole_folder(self._folder) as aside:
                self._write_all(aside, built_source, parts)

    def _write_all(self, folder: Path, built_source: BuiltSource, parts: Sequence[TaskData]) -> None:
        files = dict(self._manifest.files)
        for part in parts:
            task_folder = official_name(part.task.name)
            for split, questions in part.questions.items():
                if not questions:
                    continue

                examples = [question_record(question.example, with_user=True) for question in questions]
                questions_file = f"{task_folder}/{split}_questions.json"
                merged_examples = _mix(examples, self._read_questions(questions_file))
                files[questions_file] = _write(folder / questions_file, merged_examples)

                golds = [{"id": question.example.id, "output": question.target} for question in questions]
                outputs_file = f"{task_folder}/{split}_outputs.json"
                merged_golds = _mix(golds, self._read_golds(outputs_file))
                files[outputs_file] = _write(folder / outputs_file, {"task": task_folder, "golds": merged_golds})

        sources = sorted([*self._manifest.sources, built_source], key=lambda source: source.source)
        BuildManifest(sources=tuple(sources), files=dict(sorted(files.items()))).save(folder)

    def _read_questions(self, name: str) -> Records:
        """Read the questions that other sources gave; none where there is no such file."""
        file = self._folder / name
        if name not in self._manifest.files:
            return []

        records: Records = read_json(file)
        return records

    def _read_golds(self, name: str) -> Records:
        """Read the targets that other sources gave; none where there is no such file."""
        file = self._folder / name
        if name not in self._manifest.files:
            return []

        golds: Records = read_json(file)["golds"]
        return golds


def _write(file: Path, content: Any) -> BuiltFile:
    write_text(file, to_json(content))
    return describe_file(file)


def _mix(records: Records, earlier_records: Records) -> Records:
    """Join records of two sources in the order of the hashes of their ids."""
    return sorted([*records, *earlier_records], key=lambda record: hashlib.sha256(record["id"].encode()).hexdigest())
