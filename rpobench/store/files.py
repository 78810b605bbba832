"""Whole files on disk: written aside and renamed, read back or refused."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile
from zlib import error as CorruptData

from rpobench.types import RpobenchError

# zipfile says RuntimeError for an encrypted member, and a kind of it for an unknown compression.
UNREADABLE_ZIP = (OSError, BadZipFile, CorruptData, RuntimeError, EOFError)

MAX_UNPACKED_BYTES = 256 * 2**20  # what a compressed file may hold; LaMP's and this project's hold a few millions


def write_synced(handle: int, content: bytes) -> None:
    """Write all of the content, also where the system takes it in pieces, and wait until it is on the disk.

    Args:
        handle: The number of an open file.
        content: What is written.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    while content:
        count = os.write(handle, content)
        content = content[count:]

    os.fsync(handle)


@contextmanager
def disk_faults(file: Path) -> Iterator[None]:
    """Turn a fault of the system into one line that names the file.

    Args:
        file: What is written meanwhile.

    Yields:
        Nothing.

    Raises:
        RpobenchError: The system refused something.
    """
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room there and run again" if is_full else "name a place that can be written and run again"
        raise RpobenchError(f"{file}: {error.strerror or error}: finished predictions are kept, {advice}") from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file; see `write_bytes`."""
    write_text(file, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text file; see `write_bytes`."""
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file completely, or leave what was there before.

    Args:
        file: What is written; its folder is made if need be.
        content: All of it.

    Raises:
        RpobenchError: The disk is full or cannot be written.
    """
    part = file.with_name(f"{file.name}.{uuid4().hex[:8]}.part")  # no other process writes to it

    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb", buffering=0) as sink:
                write_synced(sink.fileno(), content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def measure_bytes(path: Path) -> int:
    """Sum up the sizes of a file, or of all files under a folder. Links are not followed.

    Args:
        path: It must exist.

    Returns:
        Bytes.
    """
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size

    return sum(measure_bytes(child) for child in path.iterdir())


def read_json(file: Path, *names: str) -> dict[str, Any]:
    """Read a JSON object from a file of the store.

    Args:
        file: What is read.
        names: Fields that the object must have.

    Returns:
        The object.

    Raises:
        RpobenchError: The file holds something else, or a field is missing.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RpobenchError(f"{file}: not readable as JSON ({error}): move its folder away") from error

    if not isinstance(content, dict):
        raise RpobenchError(f"{file}: holds no JSON object: move its folder away")
    for name in names:
        if name not in content:
            raise RpobenchError(f"{file}: lacks {name!r}: move its folder away")
    return content
