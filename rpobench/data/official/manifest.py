"""`manifest.json` of a downloaded folder: where each file came from and its sha256, pinned by the first download."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rpobench.store.files import write_text
from rpobench.types import RpobenchError

NAME = "manifest.json"
MADE_BY: Final = "rpobench data download"


class Pin(BaseModel):
    """What a file was when it was downloaded. `modified_ns` is the time it was written."""

    model_config = ConfigDict(frozen=True)

    address: str
    size: int
    sha256: str
    modified_ns: int


class Manifest(BaseModel):
    """The pins of one folder by path, such as `LaMP_3/dev_questions.json`. `data` is lamp-user or lamp-time."""

    made_by: Literal["rpobench data download"] = MADE_BY
    data: str
    files: dict[str, Pin] = {}

    def save(self, folder: Path) -> None:
        """Write `manifest.json`, whole or not at all."""
        write_text(folder / NAME, self.model_dump_json(indent=1) + "\n")


def read_manifest(folder: Path, *, foreign: bool = False) -> Manifest | None:
    """The folder's manifest, or None where it has none, or with `foreign` one that somebody else made.

    Raises RpobenchError for any other that cannot be read.
    """
    file = folder / NAME
    if not file.exists():
        return None
    content = file.read_bytes()
    if foreign and MADE_BY.encode() not in content:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise RpobenchError(f"{file}: no manifest of `{MADE_BY}`: move it away or use another folder") from error


def pin_of(file: Path, address: str) -> Pin:
    """A file's pin as it stands; reads all of it."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    told = file.stat()
    return Pin(address=address, size=told.st_size, sha256=digest, modified_ns=told.st_mtime_ns)


def check_pinned(file: Path) -> None:
    """Refuse a file of a downloaded folder that is no longer what was downloaded; any other file passes.

    A file of the same size and time is not read again: `rpobench data download` reads it all the same.
    """
    place = file.resolve().parent
    manifest = read_manifest(place.parent, foreign=True) if file.exists() else None
    pin = manifest.files.get(f"{place.name}/{file.name}") if manifest else None
    if pin is None:
        return
    told = file.stat()
    if (told.st_size, told.st_mtime_ns) != (pin.size, pin.modified_ns):
        same_as_pinned(file, pin_of(file, pin.address), pin)


def same_as_pinned(file: Path, found: Pin, pin: Pin) -> None:
    """Raise RpobenchError that says so where a file has another sum than the pinned one."""
    if found.sha256 != pin.sha256:
        raise RpobenchError(
            f"{file}: was changed since its download: sha256 {found.sha256[:12]}, {NAME} pins {pin.sha256[:12]}; "
            f"delete it and run `{MADE_BY}` again"
        )
