"""One process at a time in a folder of the store: the second one waits, says so, and finds the work done."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rpobench.store.files import disk_faults

LOCKS = ".locks"  # beside what they guard, so that nothing appears in a folder before its spec does


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a folder or file alone among all processes.

    The lock is freed when the block ends, and also when the process ends in any other way.

    Args:
        path: A folder or file of the store; it need not exist.

    Yields:
        Nothing, once no other process holds the path.

    Raises:
        RpobenchError: The lock cannot be written.
    """
    lock_file = path.parent / LOCKS / hashlib.sha256(path.name.encode()).hexdigest()[:16]

    with disk_faults(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{path.name}: another process works on it, waiting", file=sys.stderr, flush=True)
            lock.acquire()

    try:
        yield
    finally:
        lock.release()
