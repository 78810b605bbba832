"""The knobs of the synthetic world as text: `noise=0.1&split=time`, behind the `?` of `--data synth:7?...`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl

from rpobench.data.synth.world import Knobs
from rpobench.registry import advice
from rpobench.types import RpobenchError


def _pair(text: str) -> tuple[int, int]:
    low, high = text.split(",")
    return int(low), int(high)


READ: dict[str, Callable[[str], Any]] = {
    "noise": float, "profile_items": _pair, "traits": int, "drift": float, "cold_start": float, "split": str,
}  # fmt: skip


def parse_knobs(text: str) -> Knobs:
    """The knobs that `text` sets, the others at their defaults. Raises RpobenchError that names the knob."""
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in READ:
            raise RpobenchError(f"synth knob {name}: no such knob: {advice(name, READ)}")
        try:
            values[name] = READ[name](value)
        except ValueError as error:
            kind = "two whole numbers, such as 8,16" if name == "profile_items" else "a number"
            raise RpobenchError(f"synth knob {name}={value}: give {kind}") from error
    return Knobs(**values)


def format_knobs(knobs: Knobs) -> str:
    """The knobs that are not at their defaults, in the order of `Knobs`; what `parse_knobs` reads. Else ""."""
    changed = [(one.name, getattr(knobs, one.name)) for one in fields(knobs) if getattr(knobs, one.name) != one.default]
    return "&".join(
        f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}" for name, value in changed
    )
