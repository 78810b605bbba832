"""Stored facts held against facts computed anew, number by number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rpobench.store.results import SCHEMA_VERSION

DEFAULTS = {"unanswered": 0}  # what an absent field means; every other one means null
CLOSE = 1e-9
ROUNDED = 1e-3  # seconds are stored to the millisecond


def find_differences(source: str, facts: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Find stored facts that are not those computed anew.

    Args:
        source: What the facts were computed from, for the message.
        facts: The fields computed anew.
        stored: The content of `result.json`. What an older schema lacks is left alone.

    Returns:
        A line for each number or text that differs.
    """
    differences = []
    for name, fact in facts.items():
        if name not in stored and stored["schema"] != SCHEMA_VERSION:
            continue

        stored_leaves = leaves(stored.get(name, DEFAULTS.get(name)), name)
        fact_leaves = leaves(fact, name)
        tolerance = ROUNDED if name.endswith("seconds") else CLOSE
        for path in stored_leaves | fact_leaves:
            if path not in fact_leaves:
                words = f"is {_format(stored_leaves[path])}, from the {source} there is none"
            elif path not in stored_leaves:
                words = f"is absent, from the {source} it is {_format(fact_leaves[path])}"
            elif not _is_equal(stored_leaves[path], fact_leaves[path], tolerance):
                words = f"is {_format(stored_leaves[path])}, from the {source} it is {_format(fact_leaves[path])}"
            else:
                continue
            differences.append(f"result.json: {path} {words}")
    return differences


def find_infinite(content: Mapping[str, Any]) -> list[str]:
    """The paths of numbers that are nan or infinite."""
    values = leaves(content, "").items()
    return [path.removeprefix(".") for path, value in values if isinstance(value, float) and not math.isfinite(value)]


def leaves(content: Any, path: str) -> dict[str, Any]:
    """Everything in nested objects and lists that is neither, by its path."""
    if isinstance(content, Mapping):
        children = [(f"{path}.{name}", child) for name, child in content.items()]
    elif isinstance(content, list):
        children = [(f"{path}.{index}", child) for index, child in enumerate(content)]
    else:
        return {path: content}

    by_path: dict[str, Any] = {}
    for child_path, child in children:
        by_path |= leaves(child, child_path)
    return by_path


def _is_equal(first: Any, second: Any, tolerance: float) -> bool:
    if isinstance(first, float | int) and isinstance(second, float | int) and not isinstance(first, bool):
        return math.isclose(first, second, rel_tol=CLOSE, abs_tol=tolerance)
    return bool(first == second)


def _format(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else repr(value)
