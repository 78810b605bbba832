"""What to say of a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def advice(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?` where names of `known` are near, in whatever case; else all there are to choose from."""
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(by_lower[match] for match in near)}?"
    return f"choose one of {', '.join(by_lower.values())}" if by_lower else "there is none"
