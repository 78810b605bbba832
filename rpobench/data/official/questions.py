"""Reads an official questions file as examples: a small file at once, a large one through the user's cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rpobench.data.official.records import stream_questions
from rpobench.task.contract import Task
from rpobench.types import Example

LARGE = 64 * 2**20  # bytes; a smaller file is read in seconds, and a second copy of it saves little


def read_questions(task: Task, file: Path) -> tuple[Sequence[Example], str]:
    """Read the questions of an official file, in file order.

    A file of 64 MB and more is mapped into memory: see `rpobench.data.official.arrow_cache`.

    Args:
        task: The task that the questions are of.
        file: The official questions file.

    Returns:
        The examples, and whether their users are "given" or "inferred".
    """
    if file.exists() and file.stat().st_size >= LARGE:
        from rpobench.data.official.arrow_cache import map_questions  # brings pyarrow

        return map_questions(task, file)

    from rpobench.data.official.inferred_users import assign_users

    return assign_users(list(stream_questions(task, file)))
