"""What a user says of a served model: options behind its name, the server's address, and the key that none may see."""

from __future__ import annotations

import os
from typing import TypedDict
from urllib.parse import urlsplit

from rpobench.models.options import read_options
from rpobench.types import RpobenchError

KEY = "OPENAI_API_KEY"
OFFICIAL = "https://api.openai.com/v1"
SHORTEST_KEY = 8  # characters; a shorter one may be a word that stands in any answer


class ServedOptions(TypedDict, total=False):
    """What may stand behind a served model's name: seconds a request may take, and words put before every chat."""

    deadline: float
    system: str


def parse_served(argument: str) -> tuple[str, ServedOptions]:
    """The model's name and its options.

    Args:
        argument: What stands after `openai:`, such as `MODEL?deadline=300&system=Be+brief`.

    Returns:
        The name, and the options that are set.

    Raises:
        RpobenchError: There is no name, an option is unknown, or the deadline is not a positive number of seconds.
    """
    name, _, query = argument.partition("?")
    if not name:
        raise RpobenchError("openai: names no model; give one, as in openai:gpt-4o-mini")
    spec = f"openai:{argument}"
    values = read_options(query, ServedOptions.__annotations__, spec=spec)

    options = ServedOptions()
    if "system" in values:
        options["system"] = values["system"]
    if "deadline" in values:
        options["deadline"] = _parse_seconds(values["deadline"], spec)
    return name, options


def _parse_seconds(text: str, spec: str) -> float:
    is_number = text.replace(".", "", 1).isdecimal()
    if not is_number or float(text) <= 0:
        raise RpobenchError(f"{spec}: option 'deadline' is '{text}'; give seconds, such as deadline=300")
    return float(text)


def server_address(url: str | None) -> str:
    """The server's address. It is part of every result, so it must not carry a key.

    Args:
        url: What the user gave with `--base-url`, if anything.

    Returns:
        That address, else the one of OPENAI_BASE_URL, else OpenAI's; without a slash at its end.

    Raises:
        RpobenchError: It is no http address, or carries a password or a query.
    """
    address = (url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")
    no_address = RpobenchError(
        f"--base-url {one_line(address)}: is no address; give one such as http://localhost:8000/v1"
    )

    try:
        parts = urlsplit(address)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError as error:
        raise no_address from error

    if parts.username or parts.password or parts.query or parts.fragment:
        raise RpobenchError(f"--base-url: carries more than an address (host {parts.hostname}); put the key into {KEY}")
    if parts.scheme not in ("http", "https") or not host or " " in address or not address.isprintable():
        raise no_address
    return address


def read_key(base_url: str) -> str:
    """The user's key. A server of one's own often wants none; it gets a word, since the client insists on one.

    Args:
        base_url: The server's address.

    Returns:
        The key to send.

    Raises:
        RpobenchError: OpenAI is asked and there is no key, or it has characters that no header can carry.
    """
    key = _environment_key()
    if not key and base_url == OFFICIAL:
        raise RpobenchError(f"{base_url}: wants a key; set {KEY}, or --base-url for a server of your own")

    if not (key.isascii() and key.isprintable()) or " " in key:
        raise RpobenchError(f"{KEY}: holds characters that no key has; copy it anew, on one line")

    return key or "none"


def without_key(text: str) -> str:
    """The text with the user's key, should a server repeat it, taken out."""
    key = _environment_key()
    return text.replace(key, f"[{KEY}]") if len(key) >= SHORTEST_KEY else text


def _environment_key() -> str:
    """As set, without the line's end that a file or a prompt leaves on it."""
    return os.environ.get(KEY, "").strip()


def one_line(text: str) -> str:
    """A server's words as part of an error: at most 200 characters, on one line, printable, without the key."""
    words = " ".join(without_key(text).split())[:200]
    return "".join(char if char.isprintable() else "?" for char in words)
