"""One canonical form of everything that is hashed: specs, prompts, keys of drafts and kept answers, per-user parts.

A hash must not change because a class or a field of the code was renamed. So every type that travels into a hash is
written out here by hand, under names that are declared once and never change.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rpobench.types import Decoding, Message, ProfileItem

SPEC_DIGEST = 12  # hex digits that name a run or a fit
SHA256 = 64  # all hex digits of a sha256
KEY = 24  # hex digits that name an answer to a prompt, or a part learned of one user


CONTENT = "sha256:"  # before the hash of a folder's files
FOLDER_NAME = re.compile(r"[^@:+?]*@(?=sha256:[0-9a-f]{12}(?![0-9a-f]))")  # in the identity of a local model


NAME_BEFORE_HASH = re.compile(r"[^@:+?]*@(?:sha256:)?(?=[0-9a-f]{12}(?![0-9a-f]))")


@dataclass(frozen=True)
class Quoted:
    """A part of a value that version 0.1 turned into text by itself. In the canonical form it is a part like others."""

    value: object


def canonical_json(value: object) -> str:
    """Turn a value into its one text: JSON with sorted keys, no white space, and nothing but ASCII.

    Args:
        value: Text, numbers, None, messages, decodings, profile items, dates, and lists, tuples and mappings of these.

    Returns:
        Equal texts for equal values, whatever the classes behind them are called. A tuple counts as a list.

    Raises:
        TypeError: A value of a type that is not declared here.
    """
    plain_value = _plain(value)

    return json.dumps(plain_value, sort_keys=True, separators=(",", ":"))


def digest(value: object, length: int = SPEC_DIGEST) -> str:
    """Hash a value's canonical form.

    Args:
        value: Anything that `canonical_json` takes.
        length: How many hex digits, 1 to 64.

    Returns:
        The first hex digits of its sha256, in lower case.

    Raises:
        TypeError: A value of a type that is not declared here.
    """
    text = canonical_json(value)

    return hashlib.sha256(text.encode()).hexdigest()[:length]


def identify_folder(name: str, sha256: str) -> str:
    """Name a model that lies in a folder, for readers and for hashes.

    Args:
        name: What the folder is called. Only readers see it: two copies are one model.
        sha256: 12 hex digits over the files in it.

    Returns:
        `NAME@sha256:HEX`, the beginning of the model's identity.
    """
    return f"{readable_name(name)}@{CONTENT}{sha256}"


def readable_name(folder_name: str) -> str:
    """Write the name of a folder as it stands in identities: without the marks that divide these."""
    return re.sub(r"[@:+?]", "-", folder_name)


def content_of(identity: str) -> str:
    """Leave out of a model's identity what its folder is called.

    Args:
        identity: Any identity, or a text that holds some.

    Returns:
        What is hashed: equal for equal files. Names on the hub and of served models are content and stay.
    """
    return FOLDER_NAME.sub("", identity)


def comparable_identity(identity: str) -> str:
    """Write a model's identity so that equal models are equal, whichever version of this library wrote it.

    Args:
        identity: The identity of a model.

    Returns:
        What is compared, and not shown: where a hash of the files stands behind a name, the name is left out.
    """
    return NAME_BEFORE_HASH.sub("", identity)


def former_identity(identity: str) -> str:
    """Write a model's identity as it was while the names of folders counted."""
    return identity.replace(f"@{CONTENT}", "@")


def _plain(value: object) -> Any:
    """The value as JSON knows it, with the declared names of its fields."""
    if value is None or isinstance(value, str | bool | int | float):
        return value

    if isinstance(value, Message):
        return {"role": value.role, "content": value.content}
    if isinstance(value, Decoding):
        return {
            "max_new_tokens": value.max_new_tokens,
            "temperature": value.temperature,
            "top_p": value.top_p,
            "seed": value.seed,
        }
    if isinstance(value, ProfileItem):
        return {"id": value.id, "fields": _plain(value.fields), "date": _plain(value.date)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Quoted):
        return _plain(value.value)

    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]

    raise TypeError(f"{type(value).__name__} has no canonical form: declare its fields in rpobench/store/identity.py")
