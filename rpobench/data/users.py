"""Who the users of a file are: as given, or inferred from profile items that questions share."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rpobench.types import Example


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
        least half of the smaller profile's items, each named after its first question. One shared item is no sign:
        papers have several authors, and two people may tag a film alike.
        """
        if all(self.given):
            return self.given, "given"
        import numpy as np
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        hashes, owners = np.frombuffer(self._hashes, np.uint64), np.frombuffer(self._owners, np.uint32)
        order = np.argsort(hashes, kind="stable")
        twins = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        # Of the questions that hold an item each is counted with the next one: a user's questions share nearly all
        # items and so are neighbours nearly always, whoever else holds one of them.
        ends = np.stack([owners[order][twins], owners[order][twins + 1]])
        pairs, shared = np.unique(ends[:, ends[0] != ends[1]], axis=1, return_counts=True)
        sizes = np.bincount(owners, minlength=len(self.ids))
        pairs = pairs[:, 2 * shared >= np.minimum(*sizes[pairs])]
        links = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(len(self.ids), len(self.ids)))
        component = connected_components(links, directed=False)[1]
        firsts = np.unique(component, return_index=True)[1]
        return [f"user-{self.ids[first]}" for first in firsts[component]], "inferred"


def with_users(examples: Sequence[Example]) -> tuple[tuple[Example, ...], str]:
    """The examples with their users, and where those come from; see `SharedItems.users`."""
    shared = SharedItems()
    for example in examples:
        shared.add(example)
    users, origin = shared.users()
    return tuple(replace(one, user_id=user) for one, user in zip(examples, users, strict=True)), origin
