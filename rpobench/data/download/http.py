"""Fetches one file over HTTP into a part file, and continues it where it was cut.

Nothing incomplete stands under a final name.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from rpobench.terminal import show_progress
from rpobench.types import RpobenchError

BLOCK = 2**16  # bytes that are written at a time
MEGA = 10**6
PROGRESS_STEPS = 50  # moves of the progress bar
MAX_FRUITLESS_ATTEMPTS = 5  # in a row, none of which brings a new byte
BACKOFF = wait_exponential(multiplier=1, max=30)
TIMEOUT = (20, 60)  # seconds to connect, seconds between two blocks
HEADERS = {"User-Agent": f"rpobench/{version('rpobench')}", "Accept-Encoding": "identity"}
TRANSIENT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
BOM_AND_SPACE = b"\xef\xbb\xbf \t\r\n"


class AttemptFailure(Exception):
    """An attempt failed in a way that the next may not."""


def fetch(address: str, part: Path, *, label: str) -> None:
    """Fetch the whole body at an address into a part file; what an earlier call left of the same address is continued.

    Cut connections, 5xx and 429 are tried again with growing pauses, as long as new bytes come or five times in a row.

    Args:
        address: The file's address.
        part: Where the body goes.
        label: Names the file on stderr.

    Raises:
        RpobenchError: The address is wrong, answers with a web page, or fails too often; the part then stays.
    """
    transfer = _Transfer(address, part, label)
    attempts = Retrying(
        stop=lambda state: transfer.fruitless_attempts >= MAX_FRUITLESS_ATTEMPTS,
        wait=BACKOFF,
        retry=retry_if_exception_type(AttemptFailure),
        before_sleep=transfer.announce_retry,
        reraise=True,
    )

    try:
        attempts(transfer.attempt)
    except AttemptFailure as error:
        advice = "what has arrived is kept: run the command again, or give another --mirror"
        raise RpobenchError(
            f"{address}: {error}, {MAX_FRUITLESS_ATTEMPTS} times without a new byte; {advice}"
        ) from error
    except requests.RequestException as error:
        raise RpobenchError(f"{address}: {error}: check --mirror") from error
    except OSError as error:
        raise RpobenchError(f"{part}: {error.strerror or error}: free some space or use another --out") from error


def discard(part: Path) -> None:
    """Remove a part file and the note of its origin."""
    part.unlink(missing_ok=True)
    _locate_origin_file(part).unlink(missing_ok=True)


def finish(part: Path, file: Path) -> None:
    """Give a complete part file its final name."""
    _locate_origin_file(part).unlink(missing_ok=True)
    part.replace(file)


@dataclass(frozen=True)
class _Origin:
    """Where a part file comes from: it is continued only with the same file.

    Attributes:
        address: The file's address.
        version: The server's ETag, or the time of the file's last change; empty where it told neither.
        size: Bytes of the whole file; None where the server did not say.
    """

    address: str
    version: str
    size: int | None


class _Transfer:
    """The attempts at one file.

    Args:
        address: The file's address.
        part: The part file.
        label: Names the file on stderr.

    Attributes:
        fruitless_attempts: Attempts in a row that brought no new byte.
    """

    def __init__(self, address: str, part: Path, label: str) -> None:
        self._address = address
        self._part = part
        self._label = label
        self._max_bytes = self._count_bytes(self._read_origin())
        self.fruitless_attempts = 0

    def attempt(self) -> None:
        """Fetch what is missing. Raises AttemptFailure where another attempt may do better."""
        origin = self._read_origin()
        start = self._count_bytes(origin)
        if origin and origin.size is not None and start == origin.size:
            return

        try:
            self._request(origin if start else None, start)
        except TRANSIENT as error:
            raise self._make_failure(f"connection cut or refused ({type(error).__name__})") from error

    def announce_retry(self, state: RetryCallState) -> None:
        """Say on stderr why and when it is tried again."""
        reason = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0
        print(f"{self._label}: {reason}, again in {pause:.0f} s", file=sys.stderr)

    def _request(self, origin: _Origin | None, start: int) -> None:
        """Ask for the file from byte `start` on, and write what comes."""
        headers = dict(HEADERS)
        if origin:
            headers["Range"] = f"bytes={start}-"
            if origin.version:
                headers["If-Range"] = origin.version

        with requests.get(self._address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            self._check_status(response)

            if response.status_code == 206 and not (origin and _is_continuation(response, start, origin.size)):
                discard(self._part)
                raise self._make_failure("the server continued with another file")
            if response.status_code != 206:
                origin, start = _read_response_origin(self._address, response), 0

            assert origin is not None  # 206 without one was refused above
            self._write(response, origin, start)

    def _check_status(self, response: requests.Response) -> None:
        """Refuse an answer without a file."""
        code = response.status_code
        if code == 404:
            raise RpobenchError(f"{self._address}: not found (404): check --data, --task and --split, or the --mirror")

        if code == 416:
            discard(self._part)
            raise self._make_failure("the server has no such rest (416)")
        if code >= 500 or code == 429:
            raise self._make_failure(f"the server answered {code}")

        if code not in (200, 206):
            raise RpobenchError(f"{self._address}: the server answered {code}: give another --mirror")

    def _write(self, response: requests.Response, origin: _Origin, start: int) -> None:
        """Write the body to the part file, from byte `start` on."""
        blocks = response.iter_content(BLOCK)
        first_block = next(blocks, b"")
        if not start:
            if first_block.lstrip(BOM_AND_SPACE).startswith(b"<"):
                raise RpobenchError(
                    f"{self._address}: answered with a web page and not JSON: LaMP's server does so where there is no "
                    "such file: check --data, --task and --split, or the --mirror"
                )
            discard(self._part)
            _locate_origin_file(self._part).write_text(json.dumps(asdict(origin)), encoding="utf-8")

        self._append(first_block, blocks, origin.size or 0, is_new=not start)

        size = self._part.stat().st_size
        if origin.size is not None and size != origin.size:
            raise self._make_failure(f"{size} of {origin.size} bytes arrived")

    def _append(self, first_block: bytes, blocks: Iterator[bytes], size: int, *, is_new: bool) -> None:
        """Write all blocks to the part file, with a progress bar over a file of this size."""
        total = math.ceil(size / MEGA)
        step = max(1, total // PROGRESS_STEPS)
        reported = 0
        with self._part.open("wb" if is_new else "ab") as file, show_progress(f"{self._label} (MB)", total) as advance:
            file.write(first_block)
            for block in blocks:
                file.write(block)
                megabytes = math.ceil(file.tell() / MEGA)
                if megabytes - reported >= step:
                    advance(megabytes - reported)
                    reported = megabytes

            if total > reported:
                advance(total - reported)

    def _make_failure(self, reason: str) -> AttemptFailure:
        """Make the error of a failed attempt; also counts whether the attempt brought a new byte."""
        byte_count = self._count_bytes(self._read_origin())
        self.fruitless_attempts = 0 if byte_count > self._max_bytes else self.fruitless_attempts + 1
        self._max_bytes = max(self._max_bytes, byte_count)
        return AttemptFailure(reason)

    def _read_origin(self) -> _Origin | None:
        """Read where the part comes from; None where there is none, or one of another address."""
        origin_file = _locate_origin_file(self._part)
        if not (origin_file.exists() and self._part.exists()):
            return None

        try:
            origin = _Origin(**json.loads(origin_file.read_text(encoding="utf-8")))
        except (ValueError, TypeError):  # torn by a kill: the part cannot be trusted
            return None
        return origin if origin.address == self._address else None

    def _count_bytes(self, origin: _Origin | None) -> int:
        return self._part.stat().st_size if origin else 0


def _locate_origin_file(part: Path) -> Path:
    return part.with_name(f"{part.name}-origin")


def _read_response_origin(address: str, response: requests.Response) -> _Origin:
    """Read from a response which version of the file it brings: a strong ETag, else the time of its last change."""
    tag = response.headers.get("ETag", "")
    is_strong = tag and not tag.startswith("W/")
    file_version = tag if is_strong else response.headers.get("Last-Modified", "")

    length = response.headers.get("Content-Length", "")
    return _Origin(address, file_version, int(length) if length.isdigit() else None)


def _is_continuation(response: requests.Response, start: int, size: int | None) -> bool:
    """Say whether a partial answer is the rest of the file that was begun."""
    content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if content_range is None:
        return False
    return int(content_range[1]) == start and size in (None, int(content_range[2]))
