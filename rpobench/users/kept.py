"""Where what is learned of single users is kept: a folder each in the store, named by all that it was made from.

A profile that comes again, in a control with swapped profiles, in another run, or after a kill, finds it made.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from rpobench.locks import locked
from rpobench.types import ProfileItem


def content_key(*parts: object) -> str:
    """A name made of the parts' `repr`, which must tell all that the thing is made from."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def profile_content(profile: Sequence[ProfileItem]) -> str:
    """All that is in a profile, as text."""
    return repr([(item.id, sorted(item.fields.items()), item.date) for item in profile])


def kept(folder: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `key` in `folder`. Where it is not there, `make` fills it first: it appears whole or not at all."""
    place = folder / key
    if not place.exists():
        with locked(place):
            if not place.exists():  # another process may have made it meanwhile
                half = folder / f"{key}.part"
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir(parents=True)
                make(half)
                half.rename(place)
    return place
