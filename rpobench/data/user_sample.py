"""A sample of a data set's users, for `--limit` on folders: seeded, and the smaller a part of the larger."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rpobench.data.dataset import DataSet
from rpobench.data.lazy_examples import list_users, select_labelled

USERS: Final = "users"  # what specs call this rule


def sample_users(data: DataSet, limit: int | None, *, users: int | None = None, seed: int) -> DataSet:
    """Leave a sample of the users, each with all examples.

    Users follow each other in an order that only the seed and their ids decide. They are taken from its beginning for
    as long as their examples together are at most `limit`, so a larger limit has the users of a smaller one. Only
    where the first user alone has more examples are hers cut.

    Args:
        data: The examples.
        limit: Most examples; None for all.
        users: How many users, where there is no limit of examples; None for all.
        seed: Decides the order of the users.

    Returns:
        The examples of these users in file order, with the rule as `sample`. The data as it is where it is no larger.
    """
    user_by_position = list_users(data.labelled)
    if limit is None:
        chosen_users = set(_sort_users(user_by_position, seed)[:users])
    else:
        chosen_users = set(_choose_users(user_by_position, limit, seed))

    positions = [position for position, user in enumerate(user_by_position) if user in chosen_users][:limit]
    if len(positions) == len(user_by_position):
        return data

    return replace(data, labelled=select_labelled(data.labelled, positions), sample=USERS)


def _choose_users(user_by_position: Sequence[str], limit: int, seed: int) -> list[str]:
    """The first users of the order, as many as fit, and at least one."""
    counts = Counter(user_by_position)
    users = _sort_users(user_by_position, seed)

    total, chosen_users = 0, users[:1]
    for position, user in enumerate(users):
        total += counts[user]
        if total > limit:
            break
        chosen_users = users[: position + 1]
    return chosen_users


def _sort_users(user_by_position: Sequence[str], seed: int) -> list[str]:
    """The users in the order in which they are taken."""
    return sorted(set(user_by_position), key=lambda user: _draw_lot(user, seed))


def _draw_lot(user: str, seed: int) -> str:
    """A hash that sorts users; of users with one hash there are none."""
    return hashlib.sha256(f"{seed}/{user}".encode("utf-8", "surrogatepass")).hexdigest()
