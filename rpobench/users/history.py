"""A user's past items as examples of their own: what a per-user part of a method learns from."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from rpobench.task import Task
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
