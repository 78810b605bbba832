"""The records of a JSON array one after another, so that a file of several GB needs the memory of one record.

The parser is `json`'s own, fed piece by piece: streaming parsers replace half surrogates and refuse large integers, and
a file would then read differently from how LaMP's code reads it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rpobench.types import RpobenchError

CHUNK = 8 * 2**20  # bytes
SPACE = re.compile(r"[ \t\n\r]*")
NEAR_END = 16  # characters: longer than any token that is no string
NUMBER_GOES_ON = "0123456789.eE+-"
DECODER = json.JSONDecoder()


def stream_records(
    file: Path, *, chunk: int = CHUNK, seen: Callable[[bytes], object] = lambda piece: None
) -> Iterator[Any]:
    """Every record of the JSON array in a file, in order; `seen` is called with every piece of the file as read.

    Raises RpobenchError for what is absent, no UTF-8, a web page, no array, or broken, when it gets there.
    """
    try:
        with file.open("rb") as handle:
            pieces = iter(lambda: handle.read(chunk), b"")
            yield from _records(_Text(file, pieces, seen))
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error


def _records(text: _Text) -> Iterator[Any]:
    first = text.next_mark()
    if first == "<":
        raise RpobenchError(f"{text.file}: is a web page and not JSON: the address was wrong, download it again")
    if first != "[":
        raise text.broken("no value") if not first else RpobenchError(f"{text.file}: expected a list of questions")
    if text.next_mark(peek=True) == "]":
        text.next_mark()
    else:
        mark = ","
        while mark == ",":
            yield text.value()
            mark = text.next_mark()
        if mark != "]":
            raise text.broken("expected a comma or the list's end")
    if text.next_mark():
        raise text.broken("something follows the list")


class _Text:
    """What is read and not yet parsed of a file."""

    def __init__(self, file: Path, pieces: Iterator[bytes], seen: Callable[[bytes], object]) -> None:
        self.file, self._pieces, self._seen = file, pieces, seen
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at = "", 0
        self._bytes = self._dropped = 0
        self._ended = False

    def next_mark(self, *, peek: bool = False) -> str:
        """The next character that is no white space, empty at the end of the file; consumed unless `peek`."""
        while True:
            found = SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                mark = self._text[self._at]
                self._at += not peek
                return mark
            if not self._more():
                return ""

    def value(self) -> Any:
        """The next JSON value."""
        self.next_mark(peek=True)
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - NEAR_END
                if not (cut_off and self._more()):
                    raise self.broken(error.msg, error.pos) from error
            except (ValueError, RecursionError) as error:  # an integer of thousands of digits; deep nesting
                raise self.broken(str(error)) from error
            else:
                goes_on = self._text[end : end + 1] in NUMBER_GOES_ON  # true at the end of what is read
                if not (goes_on and isinstance(value, int | float) and self._more()):
                    self._at = end
                    return value

    def _more(self) -> bool:
        """Read on, as much again as is waiting: a long record is then not parsed from its start too often."""
        if self._ended:
            return False
        waiting, added = len(self._text) - self._at, ""
        while not self._ended and len(added) <= waiting:
            piece = next(self._pieces, b"")
            self._ended = not piece
            self._seen(piece)
            self._bytes += len(piece)
            try:
                added += self._decoder.decode(piece, final=self._ended)
            except UnicodeDecodeError as error:
                place = self._bytes - len(error.object) + error.start
                raise RpobenchError(f"{self.file}: no UTF-8 at byte {place}: download it again") from error
        if added:  # else every place in the text still holds
            self._dropped += self._at
            self._text, self._at = self._text[self._at :] + added, 0
        return bool(added)

    def broken(self, why: str, at: int | None = None) -> RpobenchError:
        """The error for what cannot be parsed here."""
        place = self._dropped + (self._at if at is None else at)
        return RpobenchError(f"{self.file}: broken or truncated JSON ({why} near character {place}): download it again")
