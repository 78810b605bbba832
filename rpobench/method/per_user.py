"""A user's past items as examples of their own: what a per-user part of a method learns from."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from rpobench.store.locks import locked
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, ProfileItem

ITEM_WORDS = 500  # of an item's text; OPPU's released code reads 768 tokens of each field


def past_examples(task: Task, example: Example, *, limit: int, seed: int) -> list[Labelled]:
    """The items of the example's profile that make a pair (`Task.pair`), each with the rest of the profile as its own.

    At most `limit` of them, in the profile's order; seeded lots decide where there are more. Equal profiles give equal
    examples, whoever's they are: the id of one is its item's.
    """
    pairs = [task.pair(_shortened(task, item)) for item in example.profile]
    usable = [place for place, pair in enumerate(pairs) if pair and pair[1].strip()]
    if len(usable) > limit:
        usable = sorted(Random(f"{seed}/{len(usable)}").sample(usable, limit))
    found = []
    for place in usable:
        item, pair = example.profile[place], pairs[place]
        assert pair
        rest = example.profile[:place] + example.profile[place + 1 :]
        found.append(Labelled(Example(item.id, example.user_id, pair[0], rest), pair[1]))
    return found


def pair_words(task: Task) -> str:
    """How a task words its pairs, with stand-ins: changes when the words do."""
    return repr(task.pair(ProfileItem("", {name: f"<{name}> of an item" for name in task.fields})))


def _shortened(task: Task, item: ProfileItem) -> ProfileItem:
    words = item.fields[task.cut_field].split()
    if len(words) <= ITEM_WORDS:
        return item
    return replace(item, fields={**item.fields, task.cut_field: " ".join(words[:ITEM_WORDS])})


def content_key(*parts: object) -> str:
    """A name made of the parts' `repr`, which must tell all that the thing is made from."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def profile_content(profile: Sequence[ProfileItem]) -> str:
    """All that is in a profile, as text."""
    return repr([(item.id, sorted(item.fields.items()), item.date) for item in profile])


def kept(folder: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `key` in `folder`. Where it is not there, `make` fills it first: it appears whole or not at all."""
    place = folder / key
    if not place.exists():
        with locked(place):
            if not place.exists():  # another process may have made it meanwhile
                half = folder / f"{key}.part"
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir(parents=True)
                make(half)
                half.rename(place)
    return place
