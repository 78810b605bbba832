"""What a method learns of single users: their past items as examples, and folders for what was learned from them.

What is learned of one user (an adapter, the heads of two judges) is a part: a folder that is named by all that the part
was made from, so that it is learned once and found again.
"""

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


def build_past_examples(task: Task, example: Example, *, limit: int, seed: int) -> list[Labelled]:
    """Make labelled examples of a user's own past.

    Each profile item that makes a pair (`Task.pair`) becomes an example. Its profile is the rest of the items, and its
    id is the item's, so equal profiles give equal examples, whoever's they are.

    Args:
        task: The task of the example.
        example: Whose profile is read.
        limit: How many examples at most; where there are more, seeded lots decide.
        seed: Of the lots.

    Returns:
        The examples with their targets, in the order of the profile.
    """
    usable_pairs = {}
    for index, item in enumerate(example.profile):
        pair = task.pair(_shorten_item(task, item))
        if pair and pair[1].strip():
            usable_pairs[index] = pair

    indices = list(usable_pairs)
    if len(indices) > limit:
        indices = sorted(Random(f"{seed}/{len(indices)}").sample(indices, limit))

    past_examples = []
    for index in indices:
        item = example.profile[index]
        input_text, target = usable_pairs[index]
        other_items = example.profile[:index] + example.profile[index + 1 :]
        past_examples.append(Labelled(Example(item.id, example.user_id, input_text, other_items), target))

    return past_examples


def sample_pair(task: Task) -> Quoted:
    """Show how a task words the pair that it makes of an item, with stand-ins for the item's fields.

    Args:
        task: The task.

    Returns:
        The pair, as a part of `Method.prompts`: it changes when the words do.
    """
    stand_in = ProfileItem("", {name: f"<{name}> of an item" for name in task.fields})

    return Quoted(task.pair(stand_in))


def _shorten_item(task: Task, item: ProfileItem) -> ProfileItem:
    """The item with at most `ITEM_WORDS` words of its text; its answer stays whole where it is another field."""
    words = item.fields[task.cut_field].split()
    if len(words) <= ITEM_WORDS:
        return item

    return replace(item, fields={**item.fields, task.cut_field: " ".join(words[:ITEM_WORDS])})


@dataclass(frozen=True)
class PartKey:
    """The names of the folder of one part.

    Attributes:
        name: The name that today's version gives it.
        recorded: The name that version 0.1 gave it. Its folders are still found, and none is written under it.
    """

    name: str
    recorded: str


def name_part(content: Sequence[object], recorded: str) -> PartKey:
    """Name a part by all that it is made from.

    Args:
        content: Everything that decides what the part is, in the types that `store.identity.digest` takes.
        recorded: The text that version 0.1 hashed for the same part (`store.recorded.recorded_text`).

    Returns:
        Its names: 24 hex digits each.
    """
    return PartKey(digest(content, KEY), recorded_digest(recorded, KEY))


def find_part(folder: Path, key: PartKey) -> Path | None:
    """Return the folder of a part that was learned before; None where it is still to be learned."""
    for parts_folder in (folder, folder.parent):  # where parts lay before each method had a folder of its own
        for part_folder in (parts_folder / key.name, parts_folder / key.recorded):
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
