"""Whole files on disk: written aside and renamed, read back or refused."""

from __future__ import annotations

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

UNPACKED = 256 * 2**20  # bytes that a packed file may hold; what LaMP and this project pack holds a few millions


def _write_synced(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
    os.fsync(handle)


@contextmanager
def disk_faults(file: Path) -> Iterator[None]:
    """A fault of the system while `file` is written becomes one line that names it."""
    try:
        yield
    except OSError as error:
        raise RpobenchError(
            f"{file}: {error.strerror or error}: finished predictions are kept, make room there and run again"
        ) from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a whole JSON file or nothing."""
    write_text(file, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a whole file or nothing."""
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """Write a whole file or nothing."""
    part = file.with_name(f"{file.name}.{uuid4().hex[:8]}.part")  # no other process writes to it
    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb", buffering=0) as sink:
                _write_synced(sink.fileno(), content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def read_json(file: Path, *names: str) -> dict[str, Any]:
    """A JSON object from a file of the store, which holds these names at least."""
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
