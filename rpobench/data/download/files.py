"""LaMP's official files from the server into a folder that `--data` takes, each whole, of the right form and pinned."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rpobench.data.download.http import discard, fetch, keep
from rpobench.data.official.folder import SPLITS
from rpobench.data.official.golds import official_name, read_golds, read_json
from rpobench.data.official.json_stream import stream_records
from rpobench.data.official.manifest import NAME, Manifest, check_same_content, pin_file, read_manifest
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

OFFICIAL = "https://ciir.cs.umass.edu/downloads/LaMP"
FOLDERS = {"lamp-user": "", "lamp-time": "time/"}  # on the server, by the name of the data
PLACES = {"LaMP-2": "LaMP_2/new", "LaMP-2N": "LaMP_2"}  # movies, and the news that had the name before
IDS = "LaMP_6-ids"  # beside the tasks' folders: id files are no data that a run could load
LICENSED = "LaMP-6"
TAIL = 64  # bytes


def download(tasks: Sequence[Task], splits: Sequence[str], data: str, out: Path, *, mirror: str = OFFICIAL) -> None:
    """Fetch what the folder `out` lacks of these tasks and splits, and check what it has against its manifest.

    `data` is lamp-user or lamp-time. Test has questions only, and LaMP-6 (licensed) only the ids of its mails. A file
    appears whole under its name or not at all; a broken download goes on where it was.
    """
    _check_options(splits, data, mirror)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".download.lock", timeout=0):
            manifest = read_manifest(out) or Manifest(data=data)
            if manifest.data != data:
                raise RpobenchError(f"{out / NAME}: holds {manifest.data}: use another --out for {data}")
            for one in _files(tasks, splits, data, mirror.rstrip("/")):
                _get(one, manifest, out)
    except Timeout as error:
        raise RpobenchError(f"{out}: another download is running into it: wait for it or use another --out") from error
    except OSError as error:
        raise RpobenchError(f"{error.filename or out}: {error.strerror or error}: use another --out") from error


@dataclass(frozen=True)
class _Official:
    """One file: its address, and its name in the folder."""

    task: Task
    part: str
    address: str
    name: str


def _check_options(splits: Sequence[str], data: str, mirror: str) -> None:
    if data not in FOLDERS:
        raise RpobenchError(f"--data {data}: choose {' or '.join(FOLDERS)}")
    for split in splits:
        if split not in SPLITS:
            raise RpobenchError(f"--split {split}: choose of {', '.join(SPLITS)}")
    if not mirror.startswith(("http://", "https://")):
        raise RpobenchError(f"--mirror {mirror}: give an address that begins with http:// or https://")


def _files(tasks: Sequence[Task], splits: Sequence[str], data: str, mirror: str) -> Iterator[_Official]:
    for task in tasks:
        place = f"{mirror}/{FOLDERS[data]}{PLACES.get(task.name, official_name(task.name))}"
        folder = IDS if task.name == LICENSED else official_name(task.name)
        for split in splits:
            parts = ("questions",) if split == "test" or task.name == LICENSED else ("questions", "outputs")
            for part in parts:
                yield _Official(task, part, f"{place}/{split}/{split}_{part}.json", f"{folder}/{split}_{part}.json")


def _get(one: _Official, manifest: Manifest, out: Path) -> None:
    file, pin = out / one.name, manifest.files.get(one.name)
    if file.exists():
        if pin is None:
            raise RpobenchError(
                f"{file}: stands already and {NAME} does not know it: move it away or use another --out"
            )
        found = pin_file(file, pin.address)
        check_same_content(file, found, pin)
        print(f"{one.name}: unchanged", file=sys.stderr)
    else:
        file.parent.mkdir(exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        fetch(one.address, part, label=one.name)
        _check_form(one, part)
        found = pin_file(part, one.address)
        if pin and found.sha256 != pin.sha256:
            discard(part)
            raise RpobenchError(
                f"{one.address}: sha256 {found.sha256[:12]}, but the first download pinned {pin.sha256[:12]}: the "
                f"server's file is another now; to take it, remove the entry {one.name} from {out / NAME}"
            )
    manifest.files[one.name] = found
    manifest.save(out)
    if not file.exists():
        keep(part, file)


def _check_form(one: _Official, part: Path) -> None:
    """Refuse what is no official file of this task, and discard it. Questions are large: only both ends are read."""
    try:
        if one.part == "outputs":
            if not read_golds(read_json(part), one.task.name, part.name):
                raise RpobenchError(f"{part.name}: holds no record")
            return
        with part.open("rb") as handle:
            handle.seek(max(0, part.stat().st_size - TAIL))
            if not handle.read().rstrip().endswith(b"]"):
                raise RpobenchError(f"{part.name}: ends before its list does")
        lacking = _lacking(one.task, next(stream_records(part), None))
        if lacking:
            raise RpobenchError(f"{part.name}: record 0: expected {lacking}")
    except RpobenchError as error:
        discard(part)
        raise RpobenchError(
            f"{one.address}: what arrived is no whole file of {one.task.name} and is discarded ({error}): run the "
            "command again, or give another --mirror"
        ) from error


def _lacking(task: Task, record: Any) -> str:
    """What an official question of this task has and this record lacks; empty where nothing."""
    profile = record.get("profile") if isinstance(record, dict) else None
    if not isinstance(profile, list) or not {"id", "input"} <= record.keys():
        return "an object with 'id', 'input' and a list 'profile'"
    fields = {"id", "text"} if task.name == LICENSED else {"id", *task.fields}
    absent = fields - profile[0].keys() if profile and isinstance(profile[0], dict) else set()
    return f"a profile item with {', '.join(map(repr, sorted(absent)))}" if absent else ""
