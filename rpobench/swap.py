"""The control: every example with another user's profile. What a method loses by it is its personalization gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from rpobench.types import Example, RpobenchError


def swapped(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The same examples, each with the profile of one example of another user; seeded, and never the user's own.

    Users are put in a random circle and each takes the profile of the next, so every profile is used about equally
    often. A user without history lends an empty profile. Raises RpobenchError where there is only one user.
    """
    by_user: dict[str, list[Example]] = {}
    for example in examples:
        by_user.setdefault(example.user_id, []).append(example)
    if len(by_user) < 2:
        raise RpobenchError("swapped profiles need at least two users: score more examples or use --no-swap")
    circle = Random(f"swap/{seed}").sample(sorted(by_user), len(by_user))
    lender = dict(zip(circle, [*circle[1:], circle[0]], strict=True))
    taken = []
    for example in examples:
        lent = by_user[lender[example.user_id]]
        place = by_user[example.user_id].index(example) % len(lent)
        taken.append(replace(example, profile=lent[place].profile))
    return taken
