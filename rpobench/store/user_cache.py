"""The user's cache folder, and the SQLite files in it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from filelock import FileLock

WAIT = 60.0  # seconds that a process waits for another one's write


def open_database(file: Path, table: str) -> sqlite3.Connection:
    """Open a SQLite file that many processes share.

    Write-ahead logging lets processes read while one writes. They open one after the other: of two that make the same
    file, SQLite refuses one at once instead of letting it wait.

    Args:
        file: The database; it is made if need be.
        table: The SQL statement that makes its table where there is none.

    Returns:
        A connection that any thread may use, one at a time.

    Raises:
        OSError: The file cannot be written.
        sqlite3.Error: The file is damaged, or another process holds it for a minute.
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
    chosen_folder = os.environ.get("RPOBENCH_CACHE")
    if chosen_folder:
        return Path(chosen_folder).expanduser()

    base_folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base_folder) / "rpobench"
