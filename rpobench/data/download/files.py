"""Downloads LaMP's official files into a folder that `--data` takes: each complete, of the right form, and pinned."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rpobench.data.download.http import discard, fetch, finish
from rpobench.data.official.folder import SPLITS
from rpobench.data.official.golds import official_name, read_golds, read_json
from rpobench.data.official.json_stream import stream_records
from rpobench.data.official.manifest import MANIFEST_NAME, Manifest, Pin, check_same_content, pin_file, read_manifest
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

OFFICIAL = "https://ciir.cs.umass.edu/downloads/LaMP"
SERVER_FOLDERS = {"lamp-user": "", "lamp-time": "time/"}  # by the name of the data
TASK_FOLDERS = {"LaMP-2": "LaMP_2/new", "LaMP-2N": "LaMP_2"}  # movies, and the news that had the name before
IDS = "LaMP_6-ids"  # beside the tasks' folders: id files are no data that a run could load
LICENSED = "LaMP-6"
TAIL = 64  # bytes at the end of a file in which its closing bracket must be


def download(tasks: Sequence[Task], splits: Sequence[str], data: str, out: Path, *, mirror: str = OFFICIAL) -> None:
    """Download what a folder lacks of these tasks and splits, and check what it has against its manifest.

    Test has questions only, and LaMP-6 (licensed) only the ids of its mails. A file appears complete under its name or
    not at all; a broken download goes on where it was.

    Args:
        tasks: The tasks.
        splits: Of "train", "dev" and "test".
        data: "lamp-user" or "lamp-time".
        out: The folder.
        mirror: The address that the official paths are under.

    Raises:
        RpobenchError: An option is wrong, a file cannot be fetched, or one differs from its pin.
    """
    _check_options(splits, data, mirror)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".download.lock", timeout=0):
            manifest = read_manifest(out) or Manifest(data=data)
            if manifest.data != data:
                raise RpobenchError(f"{out / MANIFEST_NAME}: holds {manifest.data}: use another --out for {data}")

            for file in _list_files(tasks, splits, data, mirror.rstrip("/")):
                _check_or_download(file, manifest, out)
    except Timeout as error:
        raise RpobenchError(f"{out}: another download is running into it: wait for it or use another --out") from error
    except OSError as error:
        raise RpobenchError(f"{error.filename or out}: {error.strerror or error}: use another --out") from error


@dataclass(frozen=True)
class _OfficialFile:
    """One file of LaMP.

    Attributes:
        task: The task that it is of.
        part: "questions" or "outputs".
        address: Where it is on the server.
        name: Its path in the downloaded folder, such as `LaMP_3/dev_questions.json`.
    """

    task: Task
    part: str
    address: str
    name: str


def _check_options(splits: Sequence[str], data: str, mirror: str) -> None:
    if data not in SERVER_FOLDERS:
        raise RpobenchError(f"--data {data}: choose {' or '.join(SERVER_FOLDERS)}")

    for split in splits:
        if split not in SPLITS:
            raise RpobenchError(f"--split {split}: choose of {', '.join(SPLITS)}")

    if not mirror.startswith(("http://", "https://")):
        raise RpobenchError(f"--mirror {mirror}: give an address that begins with http:// or https://")


def _list_files(tasks: Sequence[Task], splits: Sequence[str], data: str, mirror: str) -> Iterator[_OfficialFile]:
    for task in tasks:
        task_folder = TASK_FOLDERS.get(task.name, official_name(task.name))
        address = f"{mirror}/{SERVER_FOLDERS[data]}{task_folder}"
        folder = IDS if task.name == LICENSED else official_name(task.name)

        for split in splits:
            has_outputs = split != "test" and task.name != LICENSED
            for part in ("questions", "outputs") if has_outputs else ("questions",):
                file_name = f"{split}_{part}.json"
                yield _OfficialFile(task, part, f"{address}/{split}/{file_name}", f"{folder}/{file_name}")


def _check_or_download(official: _OfficialFile, manifest: Manifest, out: Path) -> None:
    """Check a file that is there against its pin, or download and pin it."""
    file, pin = out / official.name, manifest.files.get(official.name)
    if not file.exists():
        _download_file(official, pin, manifest, out)
        return

    if pin is None:
        raise RpobenchError(
            f"{file}: stands already and {MANIFEST_NAME} does not know it: move it away or use another --out"
        )
    current_pin = pin_file(file, pin.address)
    check_same_content(file, current_pin, pin)
    print(f"{official.name}: unchanged", file=sys.stderr)

    # The same content may have another time now, and later checks go by size and time.
    manifest.files[official.name] = current_pin
    manifest.save(out)


def _download_file(official: _OfficialFile, pin: Pin | None, manifest: Manifest, out: Path) -> None:
    """Download a file, check its form, and pin it; `pin` is that of an earlier download."""
    file = out / official.name
    file.parent.mkdir(exist_ok=True)

    part = file.with_name(f"{file.name}.part")
    fetch(official.address, part, label=official.name)
    _check_form(official, part)

    # Pinned before the file has its name: a file that stands there without a pin is taken for somebody else's.
    manifest.files[official.name] = _pin_download(official, part, pin, out)
    manifest.save(out)
    finish(part, file)


def _pin_download(official: _OfficialFile, part: Path, first_pin: Pin | None, out: Path) -> Pin:
    """Make the pin of what arrived, and refuse it where it is not what the first download pinned."""
    pin = pin_file(part, official.address)

    if first_pin and pin.sha256 != first_pin.sha256:
        discard(part)
        raise RpobenchError(
            f"{official.address}: sha256 {pin.sha256[:12]}, but the first download pinned {first_pin.sha256[:12]}: the "
            f"server's file is another now; to take it, remove the entry {official.name} from {out / MANIFEST_NAME}"
        )
    return pin


def _check_form(official: _OfficialFile, part: Path) -> None:
    """Refuse and discard what is no official file of its task."""
    try:
        if official.part == "outputs":
            if not read_golds(read_json(part), official.task.name, part.name):
                raise RpobenchError(f"{part.name}: holds no record")
        else:
            _check_questions(official.task, part)
    except RpobenchError as error:
        discard(part)
        raise RpobenchError(
            f"{official.address}: what arrived is no whole file of {official.task.name} and is discarded ({error}): "
            "run the command again, or give another --mirror"
        ) from error


def _check_questions(task: Task, part: Path) -> None:
    """Refuse what is no questions file. Questions are large: only both ends are read."""
    with part.open("rb") as handle:
        handle.seek(max(0, part.stat().st_size - TAIL))
        if not handle.read().rstrip().endswith(b"]"):
            raise RpobenchError(f"{part.name}: ends before its list does")

    missing = _find_missing(task, next(stream_records(part), None))
    if missing:
        raise RpobenchError(f"{part.name}: record 0: expected {missing}")


def _find_missing(task: Task, record: Any) -> str:
    """Say what this record lacks of an official question of this task, for an error; empty where it lacks nothing."""
    profile = record.get("profile") if isinstance(record, dict) else None
    if not isinstance(profile, list) or not {"id", "input"} <= record.keys():
        return "an object with 'id', 'input' and a list 'profile'"
    if not profile or not isinstance(profile[0], dict):
        return ""

    fields = {"id", "text"} if task.name == LICENSED else {"id", *task.fields}
    missing_fields = sorted(fields - profile[0].keys())
    return f"a profile item with {', '.join(map(repr, missing_fields))}" if missing_fields else ""
