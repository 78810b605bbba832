"""Folders that appear whole or not at all: filled aside, then renamed. A kill leaves nothing that could be mistaken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rpobench.store.locks import locked


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Let a folder be filled aside, and put it in place when it is complete.

    Args:
        folder: Where it is to appear. It must not exist, and only this process may be filling it.

    Yields:
        An empty folder beside it. What a killed process left there is removed. After a fault nothing appears; what
        was written stays aside until the next attempt.
    """
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)

    yield aside

    aside.rename(folder)


def fill_once(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Make a folder once, among all processes.

    Args:
        folder: Where it is to appear.
        fill: Writes its files into the folder that it is given. It is called only where the folder does not exist.

    Returns:
        The folder.
    """
    if folder.exists():
        return folder

    with locked(folder):
        if not folder.exists():  # another process may have made it meanwhile
            with whole_folder(folder) as aside:
                fill(aside)
    return folder
