"""The questions of an official file as examples: a small file at once, a large one mapped from the user's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rpobench.data.one_record import question
from rpobench.data.records import stream_records
from rpobench.task import Task
from rpobench.types import Example, RpobenchError

LARGE = 64 * 2**20  # bytes; a smaller file is read in seconds, and a second copy of it saves little


def read_questions(task: Task, file: Path) -> tuple[Sequence[Example], str]:
    """The questions of an official file, in file order, and whether their users are "given" or "inferred".

    A file of 64 MB and more is mapped: see `rpobench.data.arrow_cache`.
    """
    if file.exists() and file.stat().st_size >= LARGE:
        from rpobench.data.arrow_cache import map_questions  # brings pyarrow

        return map_questions(task, file)
    from rpobench.data.users import with_users

    return with_users(list(each_question(task, file)))


def each_question(task: Task, file: Path, *, seen: Callable[[bytes], object] = lambda piece: None) -> Iterator[Example]:
    """The questions of an official file one after another, with users as given or empty; `seen` as in `stream_records`.

    Raises RpobenchError that names file and record for the first fault, an id that stands twice, and an empty file.
    """
    known: set[str] = set()
    for place, record in enumerate(stream_records(file, seen=seen)):
        example = read_example(task, record, f"{file}: record {place}")
        if example.id in known:
            raise RpobenchError(f"{file}: record {place}: id {example.id!r} stands twice, keep one")
        known.add(example.id)
        yield example
    if not known:
        raise RpobenchError(f"{file}: holds no question")


def read_example(task: Task, record: Any, at: str) -> Example:
    """One official question. Raises RpobenchError that starts with `at`, the name of file and record."""
    example, faults = question(task, record, at)
    if example is None:
        raise RpobenchError(faults[0])
    return example
