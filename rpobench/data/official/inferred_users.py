"""Says whose each question is: its user as the file gives it, or inferred from profile items that questions share."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rpobench.types import Example

if TYPE_CHECKING:
    from scipy.sparse import coo_array

LEAST_SHARED = 3  # items that two questions of one user share, or else all of the smaller profile's
BLOCK_ROWS = 256  # questions that are compared with all others at a time


@dataclass
class SharedItems:
    """Keeps of every question what decides whose it is: its id, and 64 bits of a hash of each item's text.

    This takes 12 bytes an item, since a file may hold millions. That two of ten million texts share 64 bits by chance
    has probability 3e-6.

    Attributes:
        ids: The example id of each question, in the order of `add`.
        user_ids: The user of each question as the file gives it, empty where it does not.
    """

    ids: list[str] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)
    _hashes: array[int] = field(default_factory=lambda: array("Q"))
    _owners: array[int] = field(default_factory=lambda: array("I"))  # the question that each hash is of

    def add(self, example: Example) -> None:
        """Add one more question."""
        for item in example.profile:
            text = repr(sorted(item.fields.items())).encode("utf-8", "surrogatepass")
            self._hashes.append(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))
            self._owners.append(len(self.ids))

        self.ids.append(example.id)
        self.user_ids.append(example.user_id)

    def find_users(self) -> tuple[list[str], str]:
        """Decide each question's user.

        Where not every question has a user id, users are the connected components of questions that share the texts of
        at least half of the smaller profile's items, and of `LEAST_SHARED` items or all. Each is named after its first
        question. One shared item is no sign: papers have several authors, and two people may tag a film alike.

        Returns:
            The users in the order of the questions, and "given" or "inferred".
        """
        if all(self.user_ids):
            return self.user_ids, "given"

        from scipy.sparse.csgraph import connected_components

        component = connected_components(self._find_same_user_pairs(), directed=False)[1]
        first_questions = np.unique(component, return_index=True)[1]
        return [f"user-{self.ids[first]}" for first in first_questions[component]], "inferred"

    def _find_same_user_pairs(self) -> coo_array:
        """Find the pairs of questions that are one user's, as a sparse matrix of (questions, questions).

        Shared items are counted exactly, some rows at a time, since a popular item makes a pair of any two of its
        holders.
        """
        from scipy.sparse import coo_array, csr_array

        question_count = len(self.ids)
        hashes = np.frombuffer(self._hashes, np.uint64)
        owners = np.frombuffer(self._owners, np.uint32)

        # (questions, texts): 1 where the profile has the text.
        texts, items = np.unique(hashes, return_inverse=True)
        has_text = csr_array((np.ones(len(items), np.int32), (owners, items)), shape=(question_count, len(texts)))
        has_text.data[:] = 1  # the same text twice in a profile is one item
        sizes = np.diff(has_text.indptr)

        # A text of one question only links nothing.
        holders = np.bincount(has_text.indices, minlength=len(texts))
        has_common_text = has_text[:, np.flatnonzero(holders > 1)]

        pair_blocks: list[Any] = [np.empty((2, 0), int)]
        for start in range(0, question_count, BLOCK_ROWS):
            shared = (has_common_text[start : start + BLOCK_ROWS] @ has_common_text.T).tocoo()
            pairs = np.stack([shared.row + start, shared.col])

            smaller = np.minimum(*sizes[pairs])
            enough = (2 * shared.data >= smaller) & (shared.data >= np.minimum(LEAST_SHARED, smaller))
            pair_blocks.append(pairs[:, enough & (pairs[0] < pairs[1])])

        linked = np.concatenate(pair_blocks, axis=1)
        return coo_array((np.ones(linked.shape[1], bool), (linked[0], linked[1])), shape=(question_count,) * 2)


def assign_users(examples: Sequence[Example]) -> tuple[tuple[Example, ...], str]:
    """Give every example its user; see `SharedItems.find_users`.

    Args:
        examples: The examples of one file, with the users that it gives or with none.

    Returns:
        The examples with their users, and "given" or "inferred".
    """
    shared_items = SharedItems()
    for example in examples:
        shared_items.add(example)

    users, origin = shared_items.find_users()
    pairs = zip(examples, users, strict=True)
    return tuple(replace(example, user_id=user) for example, user in pairs), origin
