"""One process at a time in a folder of the store: who comes second waits, says so, and finds the work done."""

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
def locked(place: Path) -> Iterator[None]:
    """Hold `place`, a folder or file of the store, alone among all processes; freed when this one ends, however."""
    guard = place.parent / LOCKS / hashlib.sha256(place.name.encode()).hexdigest()[:16]
    with disk_faults(guard):
        guard.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(guard)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{place.name}: another process works on it, waiting", file=sys.stderr, flush=True)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
