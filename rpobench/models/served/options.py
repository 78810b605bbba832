"""What a user says of a served model: options behind its name, the server's address, and the key that none may see."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from rpobench.models.options import read_options
from rpobench.store.identity import SPEC_DIGEST, canonical_json, digest
from rpobench.types import RpobenchError

ModelOptions = Mapping[str, Any]  # as `--model-options` gives them, by name

RESERVED = {"messages", "model", "n", "stream", "max_completion_tokens", "top_p", "seed", "api_key"}
MOST_TOKENS = 1 << 32  # no answer has more
LONGEST_VALUE = 40  # characters of an option that stands in an identity as it is

KEY = "OPENAI_API_KEY"
OFFICIAL = "https://api.openai.com/v1"
SHORTEST_KEY = 8  # characters; a shorter one may be a word that stands in any answer


@dataclass(frozen=True)
class ServedOptions:
    """What may stand behind a served model's name, or in `--model-options`. All but the deadline changes its answers.

    Attributes:
        deadline: Seconds that one request may take.
        system: Words put before every chat that has no system message of its own.
        temperature: Sent with every request in place of what a method asks for; `default` sends none.
        max_tokens: The longest answer in tokens, in place of the task's.
        think_tokens: Tokens added to the longest answer, so that a model can think before it.
        body: Further content of every request, such as `reasoning_effort` or `chat_template_kwargs`. Behind a model's
            name it is written as `body=JSON`.
    """

    deadline: float = 60.0
    system: str | None = None
    temperature: float | Literal["default"] | None = None
    max_tokens: int | None = None
    think_tokens: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What the options add to the model's identity."""
        parts = [f"system:{sha256(self.system.encode()).hexdigest()[:SPEC_DIGEST]}"] if self.system else []
        if self.temperature is not None:
            parts.append(f"temperature:{self.temperature}")
        if self.max_tokens is not None:
            parts.append(f"max_tokens:{self.max_tokens}")
        if self.think_tokens:
            parts.append(f"think_tokens:{self.think_tokens}")

        for name in sorted(self.body):
            value = canonical_json(self.body[name]).strip('"')
            is_short = len(value) <= LONGEST_VALUE and value.isprintable()
            parts.append(f"{name}:{value if is_short else digest(self.body[name])}")
        return "".join(f"+{part}" for part in parts)


def parse_served(argument: str, given: ModelOptions | None = None, kind: str = "openai") -> tuple[str, ServedOptions]:
    """Read the name of a served model and its options.

    Args:
        argument: What stands after `openai:`, such as `MODEL?deadline=300&system=Be+brief`.
        given: What `--model-options` says. An option behind the name goes before it.
        kind: What stands before the colon.

    Returns:
        The name, and the options.

    Raises:
        RpobenchError: There is no name, an option is unknown, or its value is wrong.
    """
    name, _, query = argument.partition("?")
    if not name:
        raise RpobenchError(f"{kind}: names no model; give one, as in {kind}:gpt-4o-mini")

    spec = f"{kind}:{argument}"
    written = read_options(query, [*KNOWN, "reasoning_effort", "body"], spec=spec)
    body = read_model_options(written.pop("body"), f"{spec}: option 'body'") if "body" in written else {}
    return name, _check_options({**(given or {}), **body, **written}, spec)


def _check_options(options: Mapping[str, Any], spec: str) -> ServedOptions:
    """The options of all sources, each with a value of its kind."""
    for name in RESERVED & options.keys():
        raise RpobenchError(f"{spec}: option '{name}' is written by rpobench itself; leave it out")
    for name, value in options.items():
        if name not in KNOWN and _holds_key({name: value}):
            raise RpobenchError(f"{spec}: option '{without_key(name)}' holds the key; put it into {KEY} alone")

    parsed = {name: READERS[name](value, name, spec) for name, value in options.items() if name in KNOWN}
    body = {name: value for name, value in options.items() if name not in KNOWN}
    return ServedOptions(**parsed, body=body)


def _read_seconds(value: object, name: str, spec: str) -> float:
    number = _read_number(value)
    if number is None or number <= 0:
        raise RpobenchError(f"{spec}: option '{name}' is '{value}'; give seconds, such as {name}=300")
    return number


def _read_text(value: object, name: str, spec: str) -> str:
    if not isinstance(value, str) or not value:
        raise RpobenchError(f"{spec}: option '{name}' is '{value}'; give a text")
    return value


def _read_temperature(value: object, name: str, spec: str) -> float | Literal["default"]:
    if value == "default":
        return "default"

    number = _read_number(value)
    if number is None:
        raise RpobenchError(f"{spec}: option '{name}' is '{value}'; give a number from 0 on, or default to send none")
    return number


def _read_token_count(value: object, name: str, spec: str) -> int:
    number = _read_number(value)
    if number is None or number != int(number) or number > MOST_TOKENS or (name == "max_tokens" and number < 1):
        raise RpobenchError(f"{spec}: option '{name}' is '{value}'; give a whole number of tokens")
    return int(number)


def _read_number(value: object) -> float | None:
    """A finite number from 0 on, written out or as JSON; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not value.replace(".", "", 1).isdecimal():
        return None
    number = float(value)
    return number if 0 <= number < float("inf") else None


def _holds_key(value: object) -> bool:
    key = _environment_key()
    return len(key) >= SHORTEST_KEY and key in json.dumps(value)


READERS: Mapping[str, Callable[[object, str, str], Any]] = {
    "deadline": _read_seconds,
    "system": _read_text,
    "temperature": _read_temperature,
    "max_tokens": _read_token_count,
    "think_tokens": _read_token_count,
}
KNOWN = tuple(READERS)


def read_model_options(text: str, place: str = "--model-options") -> ModelOptions:
    """Read options of a served model from JSON.

    Args:
        text: A JSON object, or the name of a file that holds one.
        place: Where it stands, for errors.

    Returns:
        The options by name.

    Raises:
        RpobenchError: There is no such file, or it holds no JSON object.
    """
    try:
        content = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
        options = json.loads(content)
        if not isinstance(options, dict):
            raise ValueError("no JSON object")
        canonical_json(options)
        json.dumps(options, ensure_ascii=False, allow_nan=False).encode()  # as a request carries it
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RpobenchError(
            f'{place} {one_line(text)}: give a JSON object or the file of one, such as {{"temperature": 1}} '
            f"({one_line(str(error))})"
        ) from error
    return options


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
