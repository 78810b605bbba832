"""Stored facts held against facts computed anew, number by number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rpobench.store.results import SCHEMA_VERSION

DEFAULTS = {"unanswered": 0}  # what an absent field means; every other one means null
TOLERANCE = 1e-9  # relative and absolute
SECONDS_TOLERANCE = 1e-3  # absolute: seconds are stored to the millisecond
ABSENT = object()  # the value of a path that one side lacks


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

        stored_values = flatten(stored.get(name, DEFAULTS.get(name)), name)
        computed_values = flatten(fact, name)
        tolerance = SECONDS_TOLERANCE if name.endswith("seconds") else TOLERANCE

        for path in stored_values | computed_values:
            stored_value = stored_values.get(path, ABSENT)
            computed_value = computed_values.get(path, ABSENT)
            if _is_equal(stored_value, computed_value, tolerance):
                continue

            stored_text = "absent" if stored_value is ABSENT else _format(stored_value)
            computed_text = "there is none" if computed_value is ABSENT else f"it is {_format(computed_value)}"
            differences.append(f"result.json: {path} is {stored_text}, from the {source} {computed_text}")
    return differences


def find_infinite(content: Mapping[str, Any]) -> list[str]:
    """Find the numbers that are nan or infinite.

    Args:
        content: The content of `result.json`.

    Returns:
        Their paths, such as `metrics.rouge-1`.
    """
    paths = []
    for path, value in flatten(content, "").items():
        if isinstance(value, float) and not math.isfinite(value):
            paths.append(path.removeprefix("."))
    return paths


def flatten(content: Any, path: str) -> dict[str, Any]:
    """Collect the numbers and texts of nested objects and lists.

    Args:
        content: What `json.loads` may return.
        path: Where the content stands; it begins every path of the result.

    Returns:
        The values by path: names and list indices, joined by dots.
    """
    if isinstance(content, Mapping):
        children = [(f"{path}.{name}", child) for name, child in content.items()]
    elif isinstance(content, list):
        children = [(f"{path}.{index}", child) for index, child in enumerate(content)]
    else:
        return {path: content}

    values_by_path: dict[str, Any] = {}
    for child_path, child in children:
        values_by_path |= flatten(child, child_path)
    return values_by_path


def _is_equal(first: Any, second: Any, tolerance: float) -> bool:
    if isinstance(first, float | int) and isinstance(second, float | int) and not isinstance(first, bool):
        return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=tolerance)
    return bool(first == second)


def _format(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else repr(value)
