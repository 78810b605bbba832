"""Several processes that train one fit together, as `accelerate launch` starts them: the first writes, all train.

A process knows its place by RANK and WORLD_SIZE, which torch's launchers set; without them it is alone, and nothing
here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rpobench.types import RpobenchError

PATIENCE = timedelta(days=7)  # with a first process that drafts or predicts; the library's own is half an hour


def processes() -> int:
    """How many work together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this one locks, drafts, writes files, predicts and prints."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_all() -> None:
    """Returns when every process is here."""
    if processes() == 1:
        return
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE).wait_for_everyone()


@contextmanager
def first_goes_first() -> Iterator[None]:
    """The first process does what is inside; then the others do, and find on disk what it made."""
    if not is_first():
        wait_for_all()
    yield
    if is_first():
        wait_for_all()


def share(whole: int, option: str) -> int:
    """One process's part of a batch, as large for many as for one. Raises RpobenchError if it is no integer."""
    if whole % processes():
        raise RpobenchError(f"--set {option}={whole}: cannot be divided among {processes()} processes")
    return whole // processes()
