"""One process at a time in a folder of the store: the second one waits, says so, and finds the work done."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rpobench.store.files import disk_faults
from rpobench.types import RpobenchError

SPARE_FILES = 100  # that a process may open while it holds many locks
LOCKS = ".locks"  # beside what they guard, so that nothing appears in a folder before its spec does


@contextmanager
def locked(path: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold a folder or file alone among all processes.

    The lock is freed when the block ends, and also when the process ends in any other way.

    Args:
        path: A folder or file of the store; it need not exist.
        waits: Whether to wait while another process holds it.

    Yields:
        Nothing, once no other process holds the path.

    Raises:
        RpobenchError: The lock cannot be written, or another process holds the path and nobody waits.
    """
    lock_file = path.parent / LOCKS / hashlib.sha256(path.name.encode()).hexdigest()[:16]

    with disk_faults(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not waits:
                raise RpobenchError(
                    f"{path}: another process works on it: wait until it has ended, or end it"
                ) from None
            print(f"{path.name}: another process works on it, waiting", file=sys.stderr, flush=True)
            lock.acquire()

    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_at_once(paths: Sequence[Path]) -> Iterator[None]:
    """Hold several folders or files alone among all processes.

    Args:
        paths: Folders and files of the store; they need not exist.

    Yields:
        Nothing.

    Raises:
        RpobenchError: Another process holds one of them, or the system does not allow so many; then none is held.
    """
    _allow_more_files(len(paths) + SPARE_FILES)
    with ExitStack() as locks:
        for path in paths:
            locks.enter_context(locked(path, waits=False))
        yield


def _allow_more_files(more: int) -> None:
    """Let this process open so many more files: every lock needs one, and many systems begin with a limit of 1,024."""
    import resource  # Unix alone has it

    count = len(os.listdir("/dev/fd")) + more

    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft_limit == resource.RLIM_INFINITY or count <= soft_limit:
        return

    if hard_limit != resource.RLIM_INFINITY and count > hard_limit:
        raise RpobenchError(f"{count} files at once are more than the system allows ({hard_limit}): choose fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard_limit))
