"""Gives every writing to one of its authors, and every author to a split, so that nothing stands in two splits."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from rpobench.data.builders.people import People
from rpobench.data.builders.writing import Tally, Writing

TRAIN_SHARE, DEV_SHARE = 0.5, 0.25  # of the people; the rest is test


def choose_owners(writings: Sequence[Writing], people: People, least: int, tally: Tally) -> dict[str, list[Writing]]:
    """Give each writing to the first of its authors who has enough writings.

    A writing of several people counts for one of them alone: so no question's answer stands in another person's
    profile. Who has too few loses them to the co-authors; the one with the fewest is the first to lose.

    Args:
        writings: All writings, the oldest first.
        people: Who the authors are.
        least: The fewest writings of a person who counts.
        tally: Counts the writings that nobody gets.

    Returns:
        The writings of each person who counts, the oldest first.
    """
    ownership = _Ownership([people.list_authors(writing) for writing in writings], least)
    ownership.settle()

    writings_by_owner: dict[str, list[Writing]] = defaultdict(list)
    for writing, owner in zip(writings, ownership.owners, strict=True):
        if owner is None:
            tally.leave_out(f"by people who have fewer than {least}")
        else:
            writings_by_owner[owner].append(writing)
    return dict(writings_by_owner)


def choose_split(person: str, salt: str) -> str:
    """Choose the split of a person by a hash alone, so that later commits move nobody.

    Args:
        person: The hashed name.
        salt: The salt of the data.

    Returns:
        "train" for half of all people, "dev" and "test" for a quarter each.
    """
    digest = hashlib.sha256("\0".join((salt, "split", person)).encode("utf-8", "surrogatepass")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64

    if share < TRAIN_SHARE:
        return "train"
    return "dev" if share < TRAIN_SHARE + DEV_SHARE else "test"


class _Ownership:
    """Who owns which writing, while people with too few are taken out one after another.

    Args:
        authors: The authors of each writing, the first author first.
        least: The fewest writings of an owner.

    Attributes:
        owners: The owner of each writing; None where none of its authors counts.
    """

    def __init__(self, authors: Sequence[Sequence[str]], least: int) -> None:
        self._authors, self._least = authors, least
        totals = Counter(person for names in authors for person in names)
        self._candidates = {person for person, total in totals.items() if total >= least}
        self.owners = [self._choose_owner(index) for index in range(len(authors))]

        self._indices: dict[str, list[int]] = {person: [] for person in self._candidates}
        for index, owner in enumerate(self.owners):
            if owner is not None:
                self._indices[owner].append(index)

    def settle(self) -> None:
        """Take out whoever owns too few, the poorest first, until nobody does."""
        queue = [(len(indices), person) for person, indices in self._indices.items()]
        heapify(queue)

        while queue:
            count, person = heappop(queue)
            if person not in self._candidates or count != len(self._indices[person]):
                continue  # got more since
            if count >= self._least:
                return

            self._candidates.remove(person)
            for heir in self._pass_on(person):
                heappush(queue, (len(self._indices[heir]), heir))

    def _pass_on(self, person: str) -> list[str]:
        """Give a person's writings to the next of their authors; returns who got something."""
        heirs = []
        for index in self._indices.pop(person):
            heir = self.owners[index] = self._choose_owner(index)
            if heir is not None:
                self._indices[heir].append(index)
                heirs.append(heir)
        return heirs

    def _choose_owner(self, index: int) -> str | None:
        return next((name for name in self._authors[index] if name in self._candidates), None)
