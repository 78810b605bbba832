"""Values in one list, for what is asked of a model together, and in groups, for what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def split_into_groups(values: Sequence[T], sizes: Sequence[int]) -> list[list[T]]:
    """Split a list into groups that follow each other.

    Args:
        values: The values of all groups, group after group.
        sizes: How many values each group has; together as many as there are.

    Returns:
        The groups, in order.
    """
    groups = []
    start = 0
    for size in sizes:
        groups.append(list(values[start : start + size]))
        start += size

    return groups
