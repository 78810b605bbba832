"""The control: every example with another user's profile. What a method loses by it is its personalization gain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from rpobench.types import Example, ProfileItem, RpobenchError


class NoSwap(RpobenchError):
    """Fewer than two users have a profile, so there is nobody to swap with."""


def swapped(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The same examples in the same order, each with a profile of another user; seeded, and never the user's own.

    Users with a profile stand in a random circle and each takes the profiles of the next, so every profile is used
    about equally often. An example without a profile stays without: it has nothing to lose. Raises NoSwap where fewer
    than two users have a profile.
    """
    profiles: dict[str, list[tuple[ProfileItem, ...]]] = {}
    for example in examples:
        if example.profile:
            profiles.setdefault(example.user_id, []).append(example.profile)
    if len(profiles) < 2:
        raise NoSwap("swapped profiles need two users with a profile: score more examples")
    circle = Random(f"swap/{seed}").sample(sorted(profiles), len(profiles))
    lender = dict(zip(circle, [*circle[1:], circle[0]], strict=True))
    places: Counter[str] = Counter()
    taken = []
    for example in examples:
        if example.profile:
            lent = profiles[lender[example.user_id]]
            taken.append(replace(example, profile=lent[places[example.user_id] % len(lent)]))
            places[example.user_id] += 1
        else:
            taken.append(example)
    return taken
