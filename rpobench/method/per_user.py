"""A user's past items as examples of their own: what a per-user part of a method learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from rpobench.store.identity import KEY, Quoted, digest
from rpobench.store.recorded import recorded_digest
from rpobench.store.whole_folder import fill_once
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


def pair_words(task: Task) -> Quoted:
    """How a task words its pairs, with stand-ins: changes when the words do."""
    return Quoted(task.pair(ProfileItem("", {name: f"<{name}> of an item" for name in task.fields})))


def _shortened(task: Task, item: ProfileItem) -> ProfileItem:
    words = item.fields[task.cut_field].split()
    if len(words) <= ITEM_WORDS:
        return item
    return replace(item, fields={**item.fields, task.cut_field: " ".join(words[:ITEM_WORDS])})


@dataclass(frozen=True)
class PartKey:
    """The names of what is learned of one user: today's, and the one that version 0.1 gave it."""

    name: str
    recorded: str


def part_key(content: Sequence[object], recorded: str) -> PartKey:
    """Name a part by all that it is made from.

    Args:
        content: Everything that decides what the part is, as `store.identity` takes it.
        recorded: The text that version 0.1 hashed for the same part.

    Returns:
        Its names: 24 hex digits each.
    """
    return PartKey(digest(content, KEY), recorded_digest(recorded, KEY))


def find_part(folder: Path, key: PartKey) -> Path | None:
    """The folder of a part that was learned before; None where it is still to be learned."""
    folders = (folder / key.name, folder / key.recorded)
    return next((path for path in folders if path.exists()), None)


def keep_part(folder: Path, key: PartKey, learn: Callable[[Path], None]) -> Path:
    """Learn a part of one user once.

    Args:
        folder: Where the parts of all users lie.
        key: The name of this one.
        learn: Fills the folder that it is given. It is called only where the part was not learned before.

    Returns:
        The folder of the part. It appears whole or not at all.
    """
    known_folder = find_part(folder, key)
    if known_folder is not None:
        return known_folder
    return fill_once(folder / key.name, learn)
