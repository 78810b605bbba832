"""The user's cache folder, and the SQLite files in it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from filelock import FileLock

WAIT = 60.0  # seconds that a process waits for another one's write


def open_shared(file: Path, table: str) -> sqlite3.Connection:
    """A connection to the file, which has this table; both are made if need be.

    Write-ahead logging lets processes read while one writes. They open one after the other: of two that make the same
    file, SQLite refuses one at once instead of letting it wait.

    Raises:
        OSError, sqlite3.Error: the file is damaged, locked for a minute, or cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=WAIT):
        # Answers are reported from the thread of the requests, one at a time, while the caller waits.
        connection = sqlite3.connect(file, timeout=WAIT, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(table)
    return connection


def cache_folder() -> Path:
    """Where downloads and conversions live: RPOBENCH_CACHE, else `rpobench` in the user's cache folder."""
    if chosen := os.environ.get("RPOBENCH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpobench"
