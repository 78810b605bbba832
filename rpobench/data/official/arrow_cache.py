"""Large questions files: read once into Arrow in the user's cache, mapped ever after, one example at a time.

An entry is a folder, written aside and renamed, so that a half-written one is never read. Its name holds the file's
path, size and time and the task's fields; `about.json` holds the sha256 of what was read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from rpobench.data.official.inferred_users import SharedItems
from rpobench.data.official.mapped import MappedExamples
from rpobench.data.official.parse import each_question
from rpobench.store.files import read_json, write_json
from rpobench.store.user_cache import cache_folder
from rpobench.task.contract import Task
from rpobench.terminal import progress
from rpobench.types import Example, ProfileItem, RpobenchError

FORMAT = 3  # raised when what is in an entry changes
BATCH = 8 * 2**20  # characters of text that are held before they are written
MEGA = 10**6


class Entry:
    """One file's entry in the cache, mapped into memory."""

    def __init__(self, folder: Path, fields: Sequence[str]) -> None:
        self.about = read_json(folder / "about.json")
        self._fields = fields
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / "examples.arrow")))
            index = pa.ipc.open_file(pa.memory_map(str(folder / "index.arrow"))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise RpobenchError(f"{folder}: is damaged ({error}): delete this folder, it is made again") from error
        self.ids, self.user_ids = index["id"].to_pylist(), index["user"].to_pylist()
        self._starts: list[int] = self.about["starts"]
        self._read: tuple[int, Any] = (-1, None)  # number and content of one batch

    def example(self, row: int) -> Example:
        """The example at this row of the file."""
        number = bisect(self._starts, row) - 1
        if self._read[0] != number:
            self._read = number, self._reader.get_batch(number)
        batch, at = self._read[1], row - self._starts[number]
        names = ("item", "date", *(f"field {name}" for name in self._fields))
        items, dates, *texts = (batch.column(name)[at].values.to_pylist() for name in names)
        profile = tuple(
            ProfileItem(key, dict(zip(self._fields, values, strict=True)), day)
            for key, day, values in zip(items, dates, zip(*texts, strict=True), strict=True)
        )
        return Example(self.ids[row], self.user_ids[row], batch.column("input")[at].as_py(), profile)


def map_questions(task: Task, file: Path) -> tuple[MappedExamples, str]:
    """All questions of a file, mapped, and whether their users are given or inferred. The first call reads the file.

    Raises RpobenchError for a fault in the file as reading it does, and where the cache cannot be written.
    """
    cache, told = _cache_of(task, file), file.stat()
    name = _digest(str(file.resolve()), task.name, *task.fields)
    folder = cache / f"{name}-{_digest(FORMAT, task.version, told.st_size, told.st_mtime_ns)}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            if not folder.exists():
                part = folder.with_suffix(".part")
                shutil.rmtree(part, ignore_errors=True)  # of a killed one
                part.mkdir()
                _write(task, file, part)
                for former in set(cache.glob(f"{name}-*")) - {part}:  # the file as it was before
                    shutil.rmtree(former)
                part.rename(folder)
    except OSError as error:
        raise RpobenchError(
            f"{cache}: cannot keep {file.name} there ({error}): free {told.st_size // MEGA} MB or set RPOBENCH_CACHE"
        ) from error
    entry = Entry(folder, task.fields)
    return MappedExamples(entry, range(len(entry.ids))), entry.about["users"]


def _cache_of(task: Task, file: Path) -> Path:
    """Licensed texts stay beside their file: the user's cache may be shared with others."""
    return file.resolve().parent / ".rpobench" if task.licensed else cache_folder() / "questions"


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:16]


def _write(task: Task, file: Path, part: Path) -> None:
    told, digest, shared = file.stat(), hashlib.sha256(), SharedItems()
    with (
        progress(f"{file.name} (MB)", _megas(told.st_size)) as advance,
        pa.OSFile(str(part / "examples.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, _schema(task)) as writer,
    ):
        examples = each_question(task, file, seen=_watching(digest.update, advance, told.st_size))
        starts = [0]
        for rows in _batches(task, examples, shared):
            writer.write_batch(pa.record_batch(rows, schema=_schema(task)))
            starts.append(starts[-1] + len(rows["input"]))
    users, origin = shared.users()
    index = pa.table({"id": pa.array(shared.ids, pa.string()), "user": pa.array(users, pa.string())})
    with pa.OSFile(str(part / "index.arrow"), "wb") as sink, pa.ipc.new_file(sink, index.schema) as writer:
        writer.write_table(index)
    if (file.stat().st_size, file.stat().st_mtime_ns) != (told.st_size, told.st_mtime_ns):
        raise RpobenchError(f"{file}: was changed while it was read: run the command again")
    about = {"file": str(file.resolve()), "size": told.st_size, "modified_ns": told.st_mtime_ns}
    write_json(part / "about.json", about | {"sha256": digest.hexdigest(), "users": origin, "starts": starts[:-1]})


def _watching(take: Callable[[bytes], object], advance: Callable[[int], None], size: int) -> Callable[[bytes], None]:
    """Hands on each piece of a file of that size and moves a bar in about 50 steps; an empty piece ends it."""
    read = shown = 0

    def watch(piece: bytes) -> None:
        nonlocal read, shown
        take(piece)
        read += len(piece)
        due = _megas(read if piece else size) - shown
        if due > _megas(size) // 50 or (due and not piece):
            advance(due)
            shown += due

    return watch


def _megas(size: int) -> int:
    return -(-size // MEGA)


def _schema(task: Task) -> pa.Schema:
    texts = [(f"field {name}", pa.list_(pa.string())) for name in task.fields]
    items = [("item", pa.list_(pa.string())), ("date", pa.list_(pa.date32())), *texts]
    return pa.schema([("input", pa.string()), *items])


def _batches(task: Task, examples: Iterator[Example], shared: SharedItems) -> Iterator[dict[str, list[Any]]]:
    """The columns of some examples at a time: about 8 MB of text, or one longer example."""
    rows: dict[str, list[Any]] = {name: [] for name in _schema(task).names}
    held = 0
    for example in examples:
        shared.add(example)
        rows["input"].append(example.input)
        rows["item"].append([item.id for item in example.profile])
        rows["date"].append([item.date for item in example.profile])
        for name in task.fields:
            rows[f"field {name}"].append([item.fields[name] for item in example.profile])
        held += len(example.input) + sum(len(text) for item in example.profile for text in item.fields.values())
        if held >= BATCH:
            yield rows
            rows, held = {name: [] for name in rows}, 0
    if rows["input"]:
        yield rows
