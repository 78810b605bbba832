"""The control: every example with another user's profile. What a method loses by it is its personalization gain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from rpobench.types import Example, ProfileItem, RpobenchError


class NoSwap(RpobenchError):
    """Fewer than two users have a profile, so there is nobody to swap with."""


def swap_profiles(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """Give each example a profile of another user, never of its own.

    Users with a profile stand in a random circle, and each takes the profiles of the next, so every profile is used
    about equally often. An example without a profile stays without: it has nothing to lose.

    Args:
        examples: The examples of a run.
        seed: Decides on the circle.

    Returns:
        The same examples in the same order, with swapped profiles.

    Raises:
        NoSwap: Fewer than two users have a profile.
    """
    profiles_by_user = _group_profiles(examples)
    if len(profiles_by_user) < 2:
        raise NoSwap("swapped profiles need two users with a profile: score more examples")

    circle = Random(f"swap/{seed}").sample(sorted(profiles_by_user), len(profiles_by_user))
    next_user = dict(zip(circle, [*circle[1:], circle[0]], strict=True))

    # A user with several examples takes the other's profiles in turn.
    turns: Counter[str] = Counter()
    swapped_examples = []
    for example in examples:
        if not example.profile:
            swapped_examples.append(example)
            continue

        profiles = profiles_by_user[next_user[example.user_id]]
        profile = profiles[turns[example.user_id] % len(profiles)]
        turns[example.user_id] += 1
        swapped_examples.append(replace(example, profile=profile))
    return swapped_examples


def _group_profiles(examples: Sequence[Example]) -> dict[str, list[tuple[ProfileItem, ...]]]:
    """List the profiles of each user's examples, in order, without empty ones."""
    profiles_by_user: dict[str, list[tuple[ProfileItem, ...]]] = {}
    for example in examples:
        if example.profile:
            profiles_by_user.setdefault(example.user_id, []).append(example.profile)
    return profiles_by_user
