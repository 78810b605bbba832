"""What version 0.1 hashed. It is used for one thing: to find runs, fits, drafts and texts that version 0.1 made.

Version 0.1 hashed the `repr` of its dataclasses, under the names that they had then. Those names are spelled out here,
so the old names of files and folders can be computed whatever the classes are called today. Nothing new is named so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from rpobench.store.identity import KEY, SPEC_DIGEST, Quoted
from rpobench.types import Chat, Decoding, Message, ProfileItem

KNOBS_FILE = "recorded_knobs.json"  # {method: {version: the knobs that its specs held, in the order of then}}


@dataclass(frozen=True)
class RecordedObject:
    """An object of a class of version 0.1.

    Attributes:
        name: The class's name in version 0.1.
        fields: The object's fields by their names of then, in the order of then.
    """

    name: str
    fields: Mapping[str, object]


def recorded_text(value: object) -> str:
    """Spell out the `repr` that a value had in version 0.1.

    Args:
        value: What `identity.canonical_json` takes, and `Quoted` and `RecordedObject`.

    Returns:
        The text that was hashed then.
    """
    if isinstance(value, Quoted):
        return repr(recorded_text(value.value))
    if isinstance(value, RecordedObject):
        return f"{value.name}({_assignments(value.fields)})"

    if isinstance(value, Message):
        return f"Message({_assignments({'role': value.role, 'content': value.content})})"
    if isinstance(value, date):
        return f"datetime.date({value.year}, {value.month}, {value.day})"

    if isinstance(value, Mapping):
        parts = [f"{name!r}: {recorded_text(part)}" for name, part in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(recorded_text, value))}]"
    if isinstance(value, tuple):
        closing = ",)" if len(value) == 1 else ")"
        return f"({', '.join(map(recorded_text, value))}{closing}"

    return repr(value)


def recorded_digest(text: str, length: int) -> str:
    """Hash a text as version 0.1 did.

    Args:
        text: May hold lone surrogates.
        length: How many hex digits, 1 to 64.

    Returns:
        The first hex digits of its sha256.
    """
    content = text.encode("utf-8", "surrogatepass")

    return hashlib.sha256(content).hexdigest()[:length]


def recorded_prompts(parts: str | Sequence[object]) -> str | None:
    """Hash a method's prompts as the field `prompts` of a spec had it in version 0.1.

    Args:
        parts: What `Method.prompts` returns.

    Returns:
        12 hex digits; None for a method without prompts of its own.
    """
    if isinstance(parts, str):
        parts = [parts]

    text = "".join(part if isinstance(part, str) else recorded_text(part) for part in parts)
    return recorded_digest(text, SPEC_DIGEST) if text else None


def recorded_chat_key(chat: Chat) -> str:
    """Compute the key by which version 0.1 stored a draft or another kept text of this chat: 24 hex digits."""
    return recorded_digest(repr(_messages(chat)), KEY)


def recorded_choice_key(chat: Chat) -> str:
    """Compute the key of one of HYDRA's choices in version 0.1, the hash of a tuple around the messages: 24 digits."""
    return recorded_digest(repr((_messages(chat),)), KEY)


def recorded_decoding(decoding: Decoding) -> str:
    """Spell out a decoding as it stood in the names of version 0.1's files of kept texts."""
    fields: dict[str, object] = {
        "max_new_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "seed": decoding.seed,
    }

    return f"Decoding({_assignments(fields)})"


def recorded_profile(profile: Iterable[ProfileItem]) -> str:
    """Spell out all that is in a profile, as version 0.1 hashed it."""
    return recorded_text([(item.id, sorted(item.fields.items()), item.date) for item in profile])


def recorded_config(method: str, version: str, config: Mapping[str, Any], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Find the config that version 0.1 would have written into a spec: all knobs of then, none that came later.

    Args:
        method: The method's name.
        version: Its version.
        config: All knobs of today with their values.
        knobs: Those whose values differ from their defaults.

    Returns:
        The knobs of then, in the order of then. A later knob is left out, unless it is set to another value than its
        default: then the spec describes something that version 0.1 could not have made, and the digest must differ.
    """
    pinned = _pinned_knobs().get(method, {}).get(version)
    if pinned is None:
        return dict(config)

    recorded = {name: config[name] for name in pinned if name in config}
    later = {name: value for name, value in config.items() if name in knobs and name not in recorded}
    return {**recorded, **later}


@cache
def _pinned_knobs() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """The knobs of each method's version in the order of then, by name and version of the method."""
    text = (files("rpobench.store") / KNOBS_FILE).read_text(encoding="utf-8")
    pinned: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(text)
    return pinned


def _messages(chat: Chat) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in chat]


def _assignments(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={recorded_text(value)}" for name, value in fields.items())
