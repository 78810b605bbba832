"""Swapped profiles: another user's, never one's own, and nothing else changed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from rpobench.runs.swapped_profiles import NoSwap, swap_profiles
from rpobench.types import Example, ProfileItem, RpobenchError


def make_examples(users: list[tuple[int, bool]]) -> list[Example]:
    """Make an example of each user, with a profile of one item where the flag says so."""
    examples = []
    for index, (user, has_profile) in enumerate(users):
        profile = (ProfileItem(f"{user}-{index}", {}),) if has_profile else ()
        examples.append(Example(str(index), f"u{user}", f"input {index}", profile))
    return examples


@for_all(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=30), st.integers(0, 3))
def test_nobody_gets_a_profile_of_their_own(users: list[tuple[int, bool]], seed: int) -> None:
    examples = make_examples(users)
    users_with_profile = {user for user, has_profile in users if has_profile}

    if len(users_with_profile) < 2:
        with pytest.raises(NoSwap):
            swap_profiles(examples, seed=seed)
        return

    swapped_examples = swap_profiles(examples, seed=seed)

    assert [(e.id, e.user_id, e.input) for e in swapped_examples] == [(e.id, e.user_id, e.input) for e in examples]
    for before, after in zip(examples, swapped_examples, strict=True):
        assert bool(before.profile) == bool(after.profile), "without a profile there is nothing to swap"
        assert all(not item.id.startswith(f"{before.user_id[1:]}-") for item in after.profile)
    assert swapped_examples == swap_profiles(examples, seed=seed)


def test_each_profile_is_used_once_with_one_example_a_user() -> None:
    examples = make_examples([(user, True) for user in range(20)])

    swapped_examples = swap_profiles(examples, seed=0)

    assert set(Counter(example.profile[0].id for example in swapped_examples).values()) == {1}


def test_the_seed_decides() -> None:
    examples = make_examples([(user, True) for user in range(20)])

    assert swap_profiles(examples, seed=0) != swap_profiles(examples, seed=1)


def test_one_user_cannot_swap() -> None:
    examples = make_examples([(1, True), (1, True), (2, False)])

    with pytest.raises(RpobenchError, match=r"two users with a profile: score more examples$"):
        swap_profiles(examples, seed=0)
