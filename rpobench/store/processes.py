"""Several processes that train one fit together, as `accelerate launch` starts them: the first writes, all train.

A process knows its number by RANK and WORLD_SIZE, which torch's launchers set. Without them it is alone, and nothing
here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rpobench.types import RpobenchError

# How long the others wait for a first process that drafts or predicts; the library would give up after half an hour.
PATIENCE = timedelta(days=7)


def count_processes() -> int:
    """Count the processes of this launch, which train one fit together; 1 for a process that is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Say whether this is the first process of its launch: the one that locks, drafts, writes, predicts and prints."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_all() -> None:
    """Wait until every process of this launch has come here."""
    if count_processes() == 1:
        return

    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE).wait_for_everyone()


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Let the first process do what is inside; then the others do it, and find on disk what the first made.

    Yields:
        Nothing.
    """
    if not is_first():
        wait_for_all()

    yield

    if is_first():
        wait_for_all()


def divide_batch(size: int, option: str) -> int:
    """Divide a batch among the processes, so that it is as large for many as for one.

    Args:
        size: Examples in the batch of all processes together.
        option: The knob that sets it, for the error.

    Returns:
        How many of the examples are this process's.

    Raises:
        RpobenchError: The batch cannot be divided evenly.
    """
    if size % count_processes():
        raise RpobenchError(f"--set {option}={size}: cannot be divided among {count_processes()} processes")

    return size // count_processes()
