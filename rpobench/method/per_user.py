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
    """Make examples of a user's past items.

    Args:
        task: Says which items make a pair of input and answer (`Task.pair`).
        example: Whose profile is read.
        limit: How many examples at most. Seeded lots decide where there are more.
        seed: Of the lots.

    Returns:
        Examples in the profile's order, each with the rest of the profile as its own and with its item's id. So equal
        profiles give equal examples, whoever's they are.
    """
    pairs = [task.pair(_shorten(task, item)) for item in example.profile]
    indices = [index for index, pair in enumerate(pairs) if pair and pair[1].strip()]
    if len(indices) > limit:
        indices = sorted(Random(f"{seed}/{len(indices)}").sample(indices, limit))

    examples = []
    for index in indices:
        item, pair = example.profile[index], pairs[index]
        assert pair
        input_text, answer = pair
        other_items = example.profile[:index] + example.profile[index + 1 :]
        examples.append(Labelled(Example(item.id, example.user_id, input_text, other_items), answer))
    return examples


def pair_words(task: Task) -> Quoted:
    """Return how a task words its pairs, with stand-ins: a part of `Method.prompts` that changes when the words do."""
    return Quoted(task.pair(ProfileItem("", {name: f"<{name}> of an item" for name in task.fields})))


def _shorten(task: Task, item: ProfileItem) -> ProfileItem:
    """The item with at most `ITEM_WORDS` words in the field that is cut."""
    words = item.fields[task.cut_field].split()
    if len(words) <= ITEM_WORDS:
        return item
    return replace(item, fields={**item.fields, task.cut_field: " ".join(words[:ITEM_WORDS])})


@dataclass(frozen=True)
class PartKey:
    """The names of what is learned of one user.

    Attributes:
        name: Today's.
        recorded: The one that version 0.1 gave it.
    """

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
    """Return the folder of a part that was learned before; None where it is still to be learned."""
    for part_folder in (folder / key.name, folder / key.recorded):
        if part_folder.exists():
            return part_folder
    return None


def keep_part(folder: Path, key: PartKey, learn: Callable[[Path], None]) -> Path:
    """Learn a part of one user once.

    Args:
        folder: Where the parts of all users lie.
        key: The name of this one.
        learn: Fills the folder that it is given. It is called only where the part was not learned before.

    Returns:
        The folder of the part. It appears whole or not at all.
    """
    earlier_part = find_part(folder, key)
    if earlier_part is not None:
        return earlier_part
    return fill_once(folder / key.name, learn)
