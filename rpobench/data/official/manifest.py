"""Keeps `manifest.json` of a downloaded folder: each file's address and its sha256, pinned by the first download."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rpobench.store.files import write_text
from rpobench.types import RpobenchError

MANIFEST_NAME = "manifest.json"
WITHHELD: Final = "withheld"
MADE_BY: Final = "rpobench data download"


class Pin(BaseModel):
    """What a file was when it was downloaded.

    Attributes:
        address: Where it came from.
        size: Its bytes.
        sha256: The hash of its content, 64 hex digits.
        modified_ns: When it was written, in nanoseconds since 1970.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    size: int
    sha256: str
    modified_ns: int


class Manifest(BaseModel):
    """The content of `manifest.json`.

    Attributes:
        made_by: The command that wrote it.
        data: Which split of LaMP the folder holds: lamp-user or lamp-time.
        files: The pins by path in the folder, such as `LaMP_3/dev_questions.json`.
    """

    made_by: Literal["rpobench data download"] = MADE_BY
    data: str
    files: dict[str, Pin] = {}

    def save(self, folder: Path) -> None:
        """Write `manifest.json`, whole or not at all."""
        write_text(folder / MANIFEST_NAME, self.model_dump_json(indent=1) + "\n")


def read_manifest(folder: Path, *, ignore_foreign: bool = False) -> Manifest | None:
    """Read the manifest of a folder.

    Args:
        folder: The downloaded folder.
        ignore_foreign: Whether a `manifest.json` that another program made counts as none.

    Returns:
        The manifest, or None where the folder has none.

    Raises:
        RpobenchError: The file cannot be read as a manifest.
    """
    file = folder / MANIFEST_NAME
    if not file.exists():
        return None

    content = file.read_bytes()
    if ignore_foreign and MADE_BY.encode() not in content:
        return None

    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise RpobenchError(f"{file}: no manifest of `{MADE_BY}`: move it away or use another folder") from error


def withholds_texts(file: Path) -> bool:
    """Say whether the manifest of a file's folder has `"texts": "withheld"`, whichever command wrote it.

    Packed runs on such data hold ids, scores and measures alone.

    Args:
        file: A file of a task's folder.

    Returns:
        False where there is no manifest, and where it is another program's.
    """
    manifest_file = file.resolve().parent.parent / MANIFEST_NAME
    if not manifest_file.is_file():
        return False

    try:
        manifest = json.loads(manifest_file.read_bytes())
    except (ValueError, RecursionError):
        return False  # another program's
    return isinstance(manifest, dict) and manifest.get("texts") == WITHHELD


def pin_file(file: Path, address: str) -> Pin:
    """Make the pin of a file as it is now; reads all of it.

    Args:
        file: The downloaded file.
        address: Where it came from.

    Returns:
        The pin.
    """
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()

    status = file.stat()
    return Pin(address=address, size=status.st_size, sha256=digest, modified_ns=status.st_mtime_ns)


def check_pinned(file: Path) -> None:
    """Refuse a file of a downloaded folder that is no longer what was downloaded; any other file passes.

    A file of the same size and time is not read again: `rpobench data download` reads it all the same.

    Args:
        file: A file of a task's folder; it may be absent.

    Raises:
        RpobenchError: The file's sha256 differs from the pinned one.
    """
    task_folder = file.resolve().parent
    manifest = read_manifest(task_folder.parent, ignore_foreign=True) if file.exists() else None
    pin = manifest.files.get(f"{task_folder.name}/{file.name}") if manifest else None
    if pin is None:
        return

    status = file.stat()
    if (status.st_size, status.st_mtime_ns) != (pin.size, pin.modified_ns):
        check_same_content(file, pin_file(file, pin.address), pin)


def check_same_content(file: Path, current: Pin, pin: Pin) -> None:
    """Refuse a file whose content differs from the pinned one.

    Args:
        file: The file, for the error.
        current: The file's pin as it is now.
        pin: The pin of the first download.

    Raises:
        RpobenchError: The two sha256 differ.
    """
    if current.sha256 != pin.sha256:
        raise RpobenchError(
            f"{file}: was changed since its download: sha256 {current.sha256[:12]}, "
            f"{MANIFEST_NAME} pins {pin.sha256[:12]}; delete it and run `{MADE_BY}` again"
        )
