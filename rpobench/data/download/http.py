"""One file over HTTP into a part file, continued where it was cut: nothing half stands under a final name."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from rpobench.terminal import progress
from rpobench.types import RpobenchError

BLOCK = 2**16
MEGA = 10**6
STEPS = 50  # moves of the progress bar
TRIES = 5  # attempts in a row that bring no new byte
BACKOFF = wait_exponential(multiplier=1, max=30)
TIMEOUT = (20, 60)  # seconds to connect, seconds between two blocks
HEADERS = {"User-Agent": f"rpobench/{version('rpobench')}", "Accept-Encoding": "identity"}
TRANSIENT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class Interrupted(Exception):
    """An attempt that failed in a way that the next may not."""


def fetch(address: str, part: Path, *, label: str) -> None:
    """Make `part` the whole body at this address; what an earlier call left of the same address is continued.

    Cut connections, 5xx and 429 are tried again with growing pauses, as long as new bytes come or five times in a row.
    Raises RpobenchError where the address is wrong, answers with a web page, or fails too often; the part then stays.
    """
    transfer = _Transfer(address, part, label)
    attempts = Retrying(
        stop=lambda state: transfer.fruitless >= TRIES,
        wait=BACKOFF,
        retry=retry_if_exception_type(Interrupted),
        before_sleep=transfer.tell,
        reraise=True,
    )
    try:
        attempts(transfer.attempt)
    except Interrupted as error:
        kept = "what has arrived is kept: run the command again, or give another --mirror"
        raise RpobenchError(f"{address}: {error}, {TRIES} times without a new byte; {kept}") from error
    except requests.RequestException as error:
        raise RpobenchError(f"{address}: {error}: check --mirror") from error
    except OSError as error:
        raise RpobenchError(f"{part}: {error.strerror or error}: free some space or use another --out") from error


def discard(part: Path) -> None:
    """Forget what has arrived."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def keep(part: Path, file: Path) -> None:
    """Give a whole part its final name."""
    _note(part).unlink(missing_ok=True)
    part.replace(file)


@dataclass(frozen=True)
class _Origin:
    """Where a part comes from: it is continued only with the same file. `size` is None where the server tells none."""

    address: str
    version: str
    size: int | None


class _Transfer:
    """The attempts at one file."""

    def __init__(self, address: str, part: Path, label: str) -> None:
        self.address, self.part, self.label = address, part, label
        self.fruitless, self.most = 0, self._held(self._origin())

    def attempt(self) -> None:
        """Fetch what is missing. Raises Interrupted where another attempt may do better."""
        origin = self._origin()
        held = self._held(origin)
        if origin and origin.size is not None and held == origin.size:
            return
        try:
            self._fetch(origin if held else None, held)
        except TRANSIENT as error:
            raise self._interrupted(f"connection cut or refused ({type(error).__name__})") from error

    def tell(self, state: RetryCallState) -> None:
        """Say on stderr why and when it is tried again."""
        why = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0
        print(f"{self.label}: {why}, again in {pause:.0f} s", file=sys.stderr)

    def _fetch(self, origin: _Origin | None, held: int) -> None:
        headers = dict(HEADERS)
        if origin:
            headers["Range"] = f"bytes={held}-"
            if origin.version:
                headers["If-Range"] = origin.version
        with requests.get(self.address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            self._judge(response)
            if response.status_code == 206 and not (origin and _continues(response, held, origin.size)):
                discard(self.part)
                raise self._interrupted("the server continued with another file")
            if response.status_code != 206:
                origin, held = _origin_of(self.address, response), 0
            assert origin is not None  # 206 without one was refused above
            self._write(response, origin, held)

    def _judge(self, response: requests.Response) -> None:
        code = response.status_code
        if code == 404:
            raise RpobenchError(f"{self.address}: not found (404): check --data, --task and --split, or the --mirror")
        if code == 416:
            discard(self.part)
            raise self._interrupted("the server has no such rest (416)")
        if code >= 500 or code == 429:
            raise self._interrupted(f"the server answered {code}")
        if code not in (200, 206):
            raise RpobenchError(f"{self.address}: the server answered {code}: give another --mirror")

    def _write(self, response: requests.Response, origin: _Origin, held: int) -> None:
        blocks = response.iter_content(BLOCK)
        first = next(blocks, b"")
        if not held and first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise RpobenchError(
                f"{self.address}: answered with a web page and not JSON: LaMP's server does so where there is no such "
                "file: check --data, --task and --split, or the --mirror"
            )
        if not held:
            discard(self.part)
            _note(self.part).write_text(json.dumps(asdict(origin)), encoding="utf-8")
        total = math.ceil((origin.size or 0) / MEGA)
        with self.part.open("ab" if held else "wb") as file, progress(f"{self.label} (MB)", total) as advance:
            shown, step = 0, max(1, total // STEPS)
            file.write(first)
            for block in blocks:
                file.write(block)
                done = math.ceil(file.tell() / MEGA)
                if done - shown >= step:
                    advance(done - shown)
                    shown = done
            if total > shown:
                advance(total - shown)
        arrived = self.part.stat().st_size
        if origin.size is not None and arrived != origin.size:
            raise self._interrupted(f"{arrived} of {origin.size} bytes arrived")

    def _interrupted(self, why: str) -> Interrupted:
        """The fault of this attempt, after counting whether it brought anything."""
        held = self._held(self._origin())
        self.fruitless = 0 if held > self.most else self.fruitless + 1
        self.most = max(self.most, held)
        return Interrupted(why)

    def _origin(self) -> _Origin | None:
        """Where the part comes from; None where there is none, or one of another address."""
        note = _note(self.part)
        if not (note.exists() and self.part.exists()):
            return None
        try:
            origin = _Origin(**json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError):  # torn by a kill: the part cannot be trusted
            return None
        return origin if origin.address == self.address else None

    def _held(self, origin: _Origin | None) -> int:
        return self.part.stat().st_size if origin else 0


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}-origin")


def _origin_of(address: str, response: requests.Response) -> _Origin:
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    length = response.headers.get("Content-Length", "")
    return _Origin(address, version, int(length) if length.isdigit() else None)


def _continues(response: requests.Response, held: int, size: int | None) -> bool:
    """Whether a partial answer is the rest of the file that was begun."""
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    return told is not None and int(told[1]) == held and size in (None, int(told[2]))
