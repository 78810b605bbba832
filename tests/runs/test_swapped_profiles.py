"""Swapped profiles: another user's, never one's own, and nothing else changed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpobench.runs.swapped_profiles import NoSwap, swapped
from rpobench.types import Example, ProfileItem, RpobenchError


def examples(users: list[tuple[int, bool]]) -> list[Example]:
    return [
        Example(str(place), f"u{user}", f"input {place}", (ProfileItem(f"{user}-{place}", {}),) if filled else ())
        for place, (user, filled) in enumerate(users)
    ]


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=30), st.integers(0, 3))
def test_nobody_gets_a_profile_of_their_own(users: list[tuple[int, bool]], seed: int) -> None:
    given_examples = examples(users)
    with_profile = {user for user, filled in users if filled}
    if len(with_profile) < 2:
        with pytest.raises(NoSwap):
            swapped(given_examples, seed=seed)
        return
    changed = swapped(given_examples, seed=seed)
    assert [(e.id, e.user_id, e.input) for e in changed] == [(e.id, e.user_id, e.input) for e in given_examples]
    for before, after in zip(given_examples, changed, strict=True):
        assert bool(before.profile) == bool(after.profile), "without a profile there is nothing to swap"
        assert all(not item.id.startswith(f"{before.user_id[1:]}-") for item in after.profile)
    assert changed == swapped(given_examples, seed=seed)


def test_every_profile_is_used_once_where_users_have_one_example() -> None:
    changed = swapped(examples([(user, True) for user in range(20)]), seed=0)
    assert set(Counter(example.profile[0].id for example in changed).values()) == {1}


def test_the_seed_decides() -> None:
    some = examples([(user, True) for user in range(20)])
    assert swapped(some, seed=0) != swapped(some, seed=1)


def test_one_user_cannot_swap() -> None:
    with pytest.raises(RpobenchError, match=r"two users with a profile: score more examples$"):
        swapped(examples([(1, True), (1, True), (2, False)]), seed=0)
