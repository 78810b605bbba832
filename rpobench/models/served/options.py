"""What a user says of a served model: options behind its name, the server's address, and the key that none may see."""

from __future__ import annotations

import os
from typing import TypedDict
from urllib.parse import parse_qsl, urlsplit

from rpobench.types import RpobenchError

KEY = "OPENAI_API_KEY"
OFFICIAL = "https://api.openai.com/v1"


class ServedOptions(TypedDict, total=False):
    """What may stand behind a served model's name: seconds a request may take, and words put before every chat."""

    deadline: float
    system: str


def parse_served(argument: str) -> tuple[str, ServedOptions]:
    """`MODEL?deadline=300&system=Be+brief` as the model's name and its options.

    Raises:
        RpobenchError: no name, an option nobody knows, or a deadline that is no positive number of seconds.
    """
    name, _, query = argument.partition("?")
    if not name:
        raise RpobenchError("openai: names no model; give one, as in openai:gpt-4o-mini")
    options = ServedOptions()
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "system" and value:
            options["system"] = value
        elif key == "deadline" and value.replace(".", "", 1).isdecimal() and float(value) > 0:
            options["deadline"] = float(value)
        else:
            raise RpobenchError(f"openai:{argument}: option '{key}={value}' is none of deadline=SECONDS, system=TEXT")
    return name, options


def plain_url(url: str | None) -> str:
    """The server's address: given, else OPENAI_BASE_URL, else OpenAI's. It is part of every result: no key in it.

    Raises:
        RpobenchError: it is no http address, or carries a password or a query.
    """
    address = (url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")
    wrong = RpobenchError(f"--base-url {one_line(address)}: is no address; give one such as http://localhost:8000/v1")
    try:
        parts = urlsplit(address)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError as error:
        raise wrong from error
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RpobenchError(f"--base-url: carries more than an address (host {parts.hostname}); put the key into {KEY}")
    if parts.scheme not in ("http", "https") or not host or " " in address or not address.isprintable():
        raise wrong
    return address


def server_key(base_url: str) -> str:
    """The user's key. Servers of one's own often want none; they get a word, since the client insists on one.

    Raises:
        RpobenchError: OpenAI is asked and there is no key, or it has characters that no header can carry.
    """
    key = _key()
    if not key and base_url == OFFICIAL:
        raise RpobenchError(f"{base_url}: wants a key; set {KEY}, or --base-url for a server of your own")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise RpobenchError(f"{KEY}: holds characters that no key has; copy it anew, on one line")
    return key or "none"


def without_key(text: str) -> str:
    """The text with the user's key, should a server repeat it, taken out."""
    key = _key()
    return text.replace(key, f"[{KEY}]") if len(key) >= 8 else text


def _key() -> str:
    """As set, without the line's end that a file or a prompt leaves on it."""
    return os.environ.get(KEY, "").strip()


def one_line(text: str) -> str:
    """A server's words as part of an error: short, on one line, printable, without the key."""
    words = " ".join(without_key(text).split())[:200]
    return "".join(char if char.isprintable() else "?" for char in words)
