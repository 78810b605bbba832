"""The log of a long command: what it writes to stderr, each line with the time."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class StampedStream(io.TextIOBase):
    """Writes to another stream, and the time before every line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begins_line = True

    def write(self, text: str) -> int:
        """Write a text that may hold several lines, or end within one."""
        for line in text.splitlines(keepends=True):
            if self._begins_line and line.strip():
                self._stream.write(time.strftime("%Y-%m-%d %H:%M:%S "))
            self._stream.write(line)
            self._begins_line = line.endswith(("\n", "\r"))

        return len(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        self._stream.flush()

    def fileno(self) -> int:
        """The file descriptor, for processes that are started with it."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Nobody watches: a terminal is left as it is."""
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding


@contextmanager
def stamp_log() -> Iterator[None]:
    """Write the time before every line of stderr, unless somebody watches it on a terminal, where bars have times."""
    stream = sys.stderr
    if stream is None or stream.isatty():
        yield
        return

    sys.stderr = StampedStream(stream)
    try:
        yield
    finally:
        sys.stderr = stream
