"""The questions of an official file as examples: a small file at once, a large one mapped from the user's cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rpobench.data.official.parse import each_question
from rpobench.task.contract import Task
from rpobench.types import Example

LARGE = 64 * 2**20  # bytes; a smaller file is read in seconds, and a second copy of it saves little


def read_questions(task: Task, file: Path) -> tuple[Sequence[Example], str]:
    """The questions of an official file, in file order, and whether their users are "given" or "inferred".

    A file of 64 MB and more is mapped: see `rpobench.data.official.arrow_cache`.
    """
    if file.exists() and file.stat().st_size >= LARGE:
        from rpobench.data.official.arrow_cache import map_questions  # brings pyarrow

        return map_questions(task, file)
    from rpobench.data.official.inferred_users import with_users

    return with_users(list(each_question(task, file)))
