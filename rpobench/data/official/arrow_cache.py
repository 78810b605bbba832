"""Reads a large questions file once into Arrow files in the user's cache, and maps it from there ever after.

An entry of the cache is a folder. It is filled aside and then renamed, so that a half-written one is never read. Its
name is made of the file's path, size and time and the task's fields; `about.json` holds the sha256 of what was read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from os import stat_result
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import pyarrow as pa
from filelock import FileLock

from rpobench.data.lazy_examples import LazyExamples
from rpobench.data.official.built import find_build_manifest
from rpobench.data.official.inferred_users import SharedItems
from rpobench.data.official.records import stream_questions
from rpobench.store.files import read_json, write_json
from rpobench.store.user_cache import cache_folder
from rpobench.store.whole_folder import whole_folder
from rpobench.task.contract import Task
from rpobench.terminal import show_progress
from rpobench.types import Example, ProfileItem, RpobenchError

FORMAT = 4  # raised when what is in an entry changes
BATCH_CHARACTERS = 8 * 2**20  # of text that are gathered before they are written
MEGA = 10**6
PROGRESS_STEPS = 50  # moves of the progress bar over a file


class CacheEntry:
    """One file's entry in the cache, mapped into memory.

    Args:
        folder: The folder of the entry.
        fields: The fields of the task's profile items.

    Attributes:
        ids: The example id of every row, in file order.
        user_ids: The user of every row.
        user_origin: Whether users are "given" or "inferred".
    """

    def __init__(self, folder: Path, fields: Sequence[str]) -> None:
        about = read_json(folder / "about.json")
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / "examples.arrow")))
            index = pa.ipc.open_file(pa.memory_map(str(folder / "index.arrow"))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise RpobenchError(f"{folder}: is damaged ({error}): delete this folder, it is made again") from error

        self.ids = index["id"].to_pylist()
        self.user_ids = index["user"].to_pylist()
        self.user_origin: str = about["users"]
        self._fields = fields
        self._batch_starts: list[int] = about["starts"]  # the first row of each batch
        self._last_batch: tuple[int, Any] = (-1, None)  # number and content
        # Examples that somebody holds, by row: read once, they are not in memory twice.
        self._examples: WeakValueDictionary[int, Example] = WeakValueDictionary()

    def example(self, row: int) -> Example:
        """Return the example at this row of the file; the same object for as long as somebody holds it."""
        example = self._examples.get(row)
        if example is None:
            example = self._examples[row] = self._read_example(row)
        return example

    def _read_example(self, row: int) -> Example:
        batch_number = bisect(self._batch_starts, row) - 1
        if self._last_batch[0] != batch_number:
            self._last_batch = batch_number, self._reader.get_batch(batch_number)
        batch = self._last_batch[1]
        batch_row = row - self._batch_starts[batch_number]

        def profile_column(name: str) -> list[Any]:
            values: list[Any] = batch.column(name)[batch_row].values.to_pylist()
            return values

        item_ids, dates = profile_column("item"), profile_column("date")
        texts = {name: profile_column(f"field {name}") for name in self._fields}

        profile = []
        for position, item_id in enumerate(item_ids):
            fields = {name: texts[name][position] for name in self._fields}
            profile.append(ProfileItem(item_id, fields, dates[position]))
        return Example(self.ids[row], self.user_ids[row], batch.column("input")[batch_row].as_py(), tuple(profile))


def map_questions(task: Task, file: Path) -> tuple[LazyExamples, str]:
    """Map all questions of a file; the first call reads the file and writes its cache entry.

    Args:
        task: The task that the questions are of.
        file: The official questions file.

    Returns:
        The examples, and whether their users are "given" or "inferred".

    Raises:
        RpobenchError: The file has a fault, or the cache cannot be written.
    """
    cache, status = _choose_cache_folder(task, file), file.stat()
    name = _digest(str(file.resolve()), task.name, *task.fields)
    folder = cache / f"{name}-{_digest(FORMAT, task.prompt_version, status.st_size, status.st_mtime_ns)}"

    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            if not folder.exists():
                with whole_folder(folder) as aside:
                    _write_entry(task, file, aside)
                    _remove_older_entries(cache, name, aside)
    except OSError as error:
        raise RpobenchError(
            f"{cache}: cannot keep {file.name} there ({error}): free {status.st_size // MEGA} MB or set RPOBENCH_CACHE"
        ) from error

    entry = CacheEntry(folder, task.fields)
    return LazyExamples(entry, range(len(entry.ids))), entry.user_origin


def _choose_cache_folder(task: Task, file: Path) -> Path:
    """Return the folder of the entries. Licensed texts stay beside their file: the user's cache may be shared."""
    task_folder = file.resolve().parent
    is_licensed = task.licensed and find_build_manifest(task_folder, task_folder.name) is None
    return task_folder / ".rpobench" if is_licensed else cache_folder() / "questions"


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:16]


def _remove_older_entries(cache: Path, name: str, aside: Path) -> None:
    """Remove the entries of the file as it was before."""
    for entry in set(cache.glob(f"{name}-*")) - {aside}:
        shutil.rmtree(entry)


def _write_entry(task: Task, file: Path, folder: Path) -> None:
    """Write all files of a cache entry: the examples, the index of ids and users, and what the entry is of."""
    status, digest, shared_items = file.stat(), hashlib.sha256(), SharedItems()

    batch_starts = _write_examples(task, file, folder / "examples.arrow", shared_items, on_piece=digest.update)
    user_ids, user_origin = shared_items.find_users()
    _write_index(folder / "index.arrow", shared_items.ids, user_ids)

    if _size_and_time(file.stat()) != _size_and_time(status):
        raise RpobenchError(f"{file}: was changed while it was read: run the command again")
    write_json(
        folder / "about.json",
        {
            "file": str(file.resolve()),
            "size": status.st_size,
            "modified_ns": status.st_mtime_ns,
            "sha256": digest.hexdigest(),
            "users": user_origin,
            "starts": batch_starts,
        },
    )


def _write_examples(
    task: Task, file: Path, arrow_file: Path, shared_items: SharedItems, *, on_piece: Callable[[bytes], object]
) -> list[int]:
    """Write the examples of a questions file in batches, and show on stderr how far it is read.

    Args:
        task: The task that the questions are of.
        file: The questions file.
        arrow_file: Where the examples go.
        shared_items: To which every example is added.
        on_piece: Called with every piece of the file.

    Returns:
        The first row of each batch.
    """
    size = file.stat().st_size
    batch_starts = [0]

    with (
        show_progress(f"{file.name} (MB)", _round_up_megabytes(size)) as advance,
        pa.OSFile(str(arrow_file), "wb") as sink,
        pa.ipc.new_file(sink, _schema(task)) as writer,
    ):
        reading = _ReadingProgress(size, advance)

        def pass_on(piece: bytes) -> None:
            on_piece(piece)
            reading.add(piece)

        examples = stream_questions(task, file, on_piece=pass_on)
        for columns in _gather_batches(task, examples, shared_items):
            writer.write_batch(pa.record_batch(columns, schema=_schema(task)))
            batch_starts.append(batch_starts[-1] + len(columns["input"]))

    return batch_starts[:-1]


def _write_index(arrow_file: Path, ids: Sequence[str], user_ids: Sequence[str]) -> None:
    """Write the id and the user of every row, which can then be read without the examples."""
    index = pa.table({"id": pa.array(ids, pa.string()), "user": pa.array(user_ids, pa.string())})

    with pa.OSFile(str(arrow_file), "wb") as sink, pa.ipc.new_file(sink, index.schema) as writer:
        writer.write_table(index)


def _size_and_time(status: stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


class _ReadingProgress:
    """Moves a progress bar over a file of `size` bytes in about 50 steps; an empty piece ends it."""

    def __init__(self, size: int, advance: Callable[[int], None]) -> None:
        self._size = size
        self._advance = advance
        self._bytes_read = 0
        self._megabytes_reported = 0

    def add(self, piece: bytes) -> None:
        """Count one more piece of the file."""
        self._bytes_read += len(piece)
        megabytes_due = _round_up_megabytes(self._bytes_read if piece else self._size) - self._megabytes_reported

        is_step = megabytes_due > _round_up_megabytes(self._size) // PROGRESS_STEPS
        if is_step or (megabytes_due and not piece):
            self._advance(megabytes_due)
            self._megabytes_reported += megabytes_due


def _round_up_megabytes(size: int) -> int:
    """Return bytes as megabytes, rounded up."""
    return -(-size // MEGA)


def _schema(task: Task) -> pa.Schema:
    texts = [(f"field {name}", pa.list_(pa.string())) for name in task.fields]
    items = [("item", pa.list_(pa.string())), ("date", pa.list_(pa.date32())), *texts]
    return pa.schema([("input", pa.string()), *items])


def _gather_batches(
    task: Task, examples: Iterator[Example], shared_items: SharedItems
) -> Iterator[dict[str, list[Any]]]:
    """Yield the columns of some examples at a time: about 8 MB of text, or one longer example."""
    column_names = _schema(task).names
    columns: dict[str, list[Any]] = {name: [] for name in column_names}
    characters = 0

    for example in examples:
        shared_items.add(example)
        columns["input"].append(example.input)
        columns["item"].append([item.id for item in example.profile])
        columns["date"].append([item.date for item in example.profile])
        characters += len(example.input)

        for name in task.fields:
            texts = [item.fields[name] for item in example.profile]
            columns[f"field {name}"].append(texts)
            characters += sum(map(len, texts))

        if characters >= BATCH_CHARACTERS:
            yield columns
            columns = {name: [] for name in column_names}
            characters = 0

    if columns["input"]:
        yield columns
