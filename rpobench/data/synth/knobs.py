"""The knobs of the synthetic world, and their text form: `noise=0.1&split=time`, behind the `?` of `synth:7?...`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal
from urllib.parse import parse_qsl

from rpobench.registry import suggest_names
from rpobench.types import RpobenchError

MAX_ITEMS = 10_000  # of a profile: the last one is then written in the year 3249


@dataclass(frozen=True)
class Knobs:
    """How hard the world is.

    Attributes:
        noise: Share of answers that do not follow the user's traits, in [0, 1].
        profile_items: Least and most items of a profile.
        traits: How many of a mechanism's traits vary between users, the first ones; None for all. The others have
            their first value for everybody.
        drift: Share of users whose drifting traits change once, in [0, 1].
        cold_start: Share of users with an empty profile, in [0, 1].
        split: With "user" every split has users of its own; with "time" all splits have the same users, and a later
            split asks about a later date.
    """

    noise: float = 0.05
    profile_items: tuple[int, int] = (8, 16)
    traits: int | None = None
    drift: float = 0.5
    cold_start: float = 0.0
    split: Literal["user", "time"] = "user"

    def __post_init__(self) -> None:
        for name in ("noise", "drift", "cold_start"):
            if not 0 <= getattr(self, name) <= 1:
                raise RpobenchError(f"synth knob {name}={getattr(self, name)}: give a share between 0 and 1")

        low, high = self.profile_items
        if not 1 <= low <= high <= MAX_ITEMS:
            raise RpobenchError(
                f"synth knob profile_items={low},{high}: give two numbers, 1 <= low <= high <= {MAX_ITEMS}"
            )

        if self.traits is not None and self.traits < 0:
            raise RpobenchError(f"synth knob traits={self.traits}: give 0 or more")
        if self.split not in ("user", "time"):
            raise RpobenchError(f"synth knob split={self.split}: give user or time")


def _parse_pair(text: str) -> tuple[int, int]:
    low, high = text.split(",")
    return int(low), int(high)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "noise": float,
    "profile_items": _parse_pair,
    "traits": int,
    "drift": float,
    "cold_start": float,
    "split": str,
}


def parse_knobs(text: str) -> Knobs:
    """Parse the knobs that a text sets; the others stay at their defaults.

    Args:
        text: Such as `noise=0.1&split=time`; it may be empty.

    Returns:
        The knobs.

    Raises:
        RpobenchError: Names the knob that does not exist or has a wrong value.
    """
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _PARSERS:
            raise RpobenchError(f"synth knob {name}: no such knob: {suggest_names(name, _PARSERS)}")

        try:
            values[name] = _PARSERS[name](value)
        except ValueError as error:
            kind = "two whole numbers, such as 8,16" if name == "profile_items" else "a number"
            raise RpobenchError(f"synth knob {name}={value}: give {kind}") from error
    return Knobs(**values)


def format_knobs(knobs: Knobs) -> str:
    """Write the knobs that are not at their defaults as text that `parse_knobs` reads.

    Args:
        knobs: The knobs.

    Returns:
        The changed knobs in the order of `Knobs`; empty where all are at their defaults.
    """
    assignments = []
    for knob in fields(knobs):
        value = getattr(knobs, knob.name)
        if value != knob.default:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            assignments.append(f"{knob.name}={text}")

    return "&".join(assignments)
