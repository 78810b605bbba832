"""Streams the records of a JSON array one after another, so that a file of several GB needs the memory of one record.

The parser is `json`'s own, fed piece by piece. Streaming parsers replace half surrogates and refuse large integers, and
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

CHUNK = 8 * 2**20  # bytes that are read at a time
SPACE = re.compile(r"[ \t\n\r]*")
# An error in the last so many characters may be a token that goes on in the next piece; only strings are longer.
NEAR_END = 16
NUMBER_CHARACTERS = "0123456789.eE+-"  # after them a number that seems complete may go on in the next piece
DECODER = json.JSONDecoder()


def ignore_piece(piece: bytes) -> None:
    """Do nothing with a piece of a file."""


def stream_records(
    file: Path, *, chunk: int = CHUNK, on_piece: Callable[[bytes], object] = ignore_piece
) -> Iterator[Any]:
    """Yield every record of the JSON array in a file, in order.

    Args:
        file: The JSON file.
        chunk: How many bytes are read at a time.
        on_piece: Called with every piece of the file as it is read, and with an empty piece at its end.

    Yields:
        The parsed records.

    Raises:
        RpobenchError: The file is absent, not UTF-8, a web page, no array, or broken; raised when reading gets there.
    """
    try:
        with file.open("rb") as handle:
            pieces = iter(lambda: handle.read(chunk), b"")
            yield from _parse_array(_TextBuffer(file, pieces, on_piece))
    except OSError as error:
        raise RpobenchError(f"{file}: {error.strerror or error}") from error


def _parse_array(text: _TextBuffer) -> Iterator[Any]:
    first_character = text.next_character()
    if first_character == "<":
        raise RpobenchError(f"{text.file}: is a web page and not JSON: the address was wrong, download it again")
    if not first_character:
        raise text.make_error("no value")
    if first_character != "[":
        raise RpobenchError(f"{text.file}: expected a list of questions")

    if text.next_character(peek=True) == "]":
        text.next_character()
    else:
        character = ","
        while character == ",":
            yield text.read_value()
            character = text.next_character()
        if character != "]":
            raise text.make_error("expected a comma or the list's end")

    if text.next_character():
        raise text.make_error("something follows the list")


class _TextBuffer:
    """The text of a file that is read and not yet parsed."""

    def __init__(self, file: Path, pieces: Iterator[bytes], on_piece: Callable[[bytes], object]) -> None:
        self.file = file
        self._pieces = pieces
        self._on_piece = on_piece

        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._position = 0  # in the text, of the next character to parse
        self._bytes_read = 0
        self._dropped_characters = 0  # characters of the file before the text
        self._is_at_end = False

    def next_character(self, *, peek: bool = False) -> str:
        """Return the next character that is no white space, empty at the end of the file; consumed unless `peek`."""
        while True:
            space = SPACE.match(self._text, self._position)
            if space:
                self._position = space.end()

            if self._position < len(self._text):
                character = self._text[self._position]
                self._position += not peek
                return character

            if not self._read_more():
                return ""

    def read_value(self) -> Any:
        """Parse and consume the next JSON value; reads on until it is complete."""
        self.next_character(peek=True)
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                is_cut_off = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - NEAR_END
                if not (is_cut_off and self._read_more()):
                    raise self.make_error(error.msg, error.pos) from error
            except (ValueError, RecursionError) as error:  # an integer of thousands of digits; deep nesting
                raise self.make_error(str(error)) from error
            else:
                # An empty text, at the end of what is read, is in every string too.
                may_continue = self._text[end : end + 1] in NUMBER_CHARACTERS
                if not (may_continue and isinstance(value, int | float) and self._read_more()):
                    self._position = end
                    return value

    def _read_more(self) -> bool:
        """Read on, at least as much as is not yet parsed, and say whether there was more.

        A long record is parsed from its start after each reading: doubling the text bounds how often.
        """
        if self._is_at_end:
            return False

        waiting = len(self._text) - self._position
        new_text = ""
        while not self._is_at_end and len(new_text) <= waiting:
            piece = next(self._pieces, b"")
            self._is_at_end = not piece
            self._on_piece(piece)
            self._bytes_read += len(piece)
            new_text += self._decode(piece)

        if new_text:  # else every position in the text still holds
            self._dropped_characters += self._position
            self._text = self._text[self._position :] + new_text
            self._position = 0
        return bool(new_text)

    def _decode(self, piece: bytes) -> str:
        try:
            return self._decoder.decode(piece, final=self._is_at_end)
        except UnicodeDecodeError as error:
            position = self._bytes_read - len(error.object) + error.start
            raise RpobenchError(f"{self.file}: no UTF-8 at byte {position}: download it again") from error

    def make_error(self, reason: str, position: int | None = None) -> RpobenchError:
        """Make the error for what cannot be parsed at this position of the text (None: the next character)."""
        character = self._dropped_characters + (self._position if position is None else position)
        return RpobenchError(
            f"{self.file}: broken or truncated JSON ({reason} near character {character}): download it again"
        )
