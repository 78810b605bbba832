"""Who the users of a file are: as given, or inferred from profile items that questions share."""

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

LEAST = 3  # items that two questions of one user share, or else all of the smaller profile's
ROWS = 256  # questions that are held against all others at a time


@dataclass
class SharedItems:
    """What of each question decides whose it is: its id, and 64 bits of a hash of each item's text.

    12 bytes an item, since a file may hold millions; that two of ten million texts share 64 bits by chance has
    probability 3e-6.
    """

    ids: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    _hashes: array[int] = field(default_factory=lambda: array("Q"))
    _owners: array[int] = field(default_factory=lambda: array("I"))

    def add(self, example: Example) -> None:
        """Take note of one more question."""
        for item in example.profile:
            text = repr(sorted(item.fields.items())).encode("utf-8", "surrogatepass")
            self._hashes.append(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))
            self._owners.append(len(self.ids))
        self.ids.append(example.id)
        self.given.append(example.user_id)

    def users(self) -> tuple[list[str], str]:
        """Each question's user, and "given" or "inferred".

        Where not every question has an id, users are the connected components of questions that share the texts of at
        least half of the smaller profile's items, and `LEAST` of them or all, each named after its first question. One
        shared item is no sign: papers have several authors, and two people may tag a film alike.
        """
        if all(self.given):
            return self.given, "given"
        from scipy.sparse.csgraph import connected_components

        component = connected_components(self._links(), directed=False)[1]
        firsts = np.unique(component, return_index=True)[1]
        return [f"user-{self.ids[first]}" for first in firsts[component]], "inferred"

    def _links(self) -> coo_array:
        """(questions, questions): which two are one user's. Counted exactly, some rows at a time, since a popular item
        makes a pair of any two of its holders."""
        from scipy.sparse import coo_array, csr_array

        count = len(self.ids)
        hashes, owners = np.frombuffer(self._hashes, np.uint64), np.frombuffer(self._owners, np.uint32)
        known, items = np.unique(hashes, return_inverse=True)
        held = csr_array((np.ones(len(items), np.int32), (owners, items)), shape=(count, len(known)))
        held.data[:] = 1  # the same text twice in a profile is one item
        sizes = np.diff(held.indptr)
        common = held[:, np.flatnonzero(np.bincount(held.indices, minlength=len(known)) > 1)]
        ends: list[Any] = [np.empty((2, 0), int)]
        for start in range(0, count, ROWS):
            shared = (common[start : start + ROWS] @ common.T).tocoo()
            pairs = np.stack([shared.row + start, shared.col])
            smaller = np.minimum(*sizes[pairs])
            enough = (2 * shared.data >= smaller) & (shared.data >= np.minimum(LEAST, smaller))
            ends.append(pairs[:, enough & (pairs[0] < pairs[1])])
        linked = np.concatenate(ends, axis=1)
        return coo_array((np.ones(linked.shape[1], bool), (linked[0], linked[1])), shape=(count, count))


def with_users(examples: Sequence[Example]) -> tuple[tuple[Example, ...], str]:
    """The examples with their users, and where those come from; see `SharedItems.users`."""
    shared = SharedItems()
    for example in examples:
        shared.add(example)
    users, origin = shared.users()
    return tuple(replace(one, user_id=user) for one, user in zip(examples, users, strict=True)), origin
