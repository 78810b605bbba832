"""The synthetic world: its versions, its users, and the data sets that they make with known ceilings.

Every user is made from a random stream of their own, so example i is the same whatever the number of examples. Only
`random.Random` over strings is used: the same world on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from random import Random

from rpobench.data.dataset import DataSet
from rpobench.data.synth.knobs import Knobs
from rpobench.data.synth.life import Story, UserLife
from rpobench.data.synth.mechanism import Mechanism
from rpobench.data.synth.names import SPLITS
from rpobench.types import Example, Labelled, ProfileItem, RpobenchError

SYNTH_VERSION = "synth-v2"

# The class of each task's mechanism, by module and name: imported when it is needed, since word banks are large.
MECHANISMS = {
    "LaMP-1": "lamp1:Citations",
    "LaMP-2": "lamp2:Tags",
    "LaMP-3": "lamp3:Ratings",
    "LaMP-4": "lamp4:Headlines",
    "LaMP-5": "lamp5:Titles",
    "LaMP-6": "lamp6:Subjects",
    "LaMP-7": "lamp7:Tweets",
}
# What differs in the older worlds, which stay as they were: runs on them are made and checked again.
OLDER_MECHANISMS: dict[str, dict[str, str]] = {
    "synth-v1": {"LaMP-1": "lamp1:CitationsV1", "LaMP-5": "lamp5:TitlesV1", "LaMP-7": "lamp7:TweetsV1"},
}
VERSIONS = (*OLDER_MECHANISMS, SYNTH_VERSION)


def make_mechanism(task: str, version: str = SYNTH_VERSION) -> Mechanism:
    """Make the mechanism of a task as it is in a version of the world.

    Args:
        task: The task's name, such as "LaMP-4".
        version: One of VERSIONS.

    Returns:
        The mechanism.

    Raises:
        RpobenchError: There is no such task or version.
    """
    if task not in MECHANISMS:
        raise RpobenchError(f"no synthetic data for task {task}: choose one of {', '.join(MECHANISMS)}")
    if version not in VERSIONS:
        raise RpobenchError(f"no version {version} of the synthetic world: choose one of {', '.join(VERSIONS)}")

    module_name, class_name = OLDER_MECHANISMS.get(version, {}).get(task, MECHANISMS[task]).split(":")
    mechanism: Mechanism = getattr(import_module(f"rpobench.data.synth.{module_name}"), class_name)()
    return mechanism


def generate(
    task: str, split: str, n: int, *, seed: int = 0, knobs: Knobs | None = None, version: str = SYNTH_VERSION
) -> DataSet:
    """Generate the first examples of a task's split, one a user, with two references.

    Args:
        task: The task's name, such as "LaMP-4".
        split: "train", "dev" or "test".
        n: How many examples.
        seed: Names the world.
        knobs: How hard the world is; None for the defaults.
        version: One of VERSIONS.

    Returns:
        The data set. Its references are "best_generic" (the best answer without knowing the user) and "oracle" (the
        answer of somebody who knows the user's traits).

    Raises:
        RpobenchError: There is no such task, split or version, or `n` is negative.
    """
    mechanism = make_mechanism(task, version)
    stories = list(generate_stories(task, split, n, seed=seed, knobs=knobs, version=version))

    labelled = []
    for story in stories:
        order_rng = Random(f"{version}/{seed}/{task}/{story.user_id}/{split}/order")
        labelled.append(_label_example(mechanism, story, split, order_rng))

    return DataSet(
        task,
        version,
        split,
        tuple(labelled),
        references=_write_references(mechanism, stories, labelled),
        topics=_list_topics(stories, labelled),
        users="given",
        synthetic=True,
    )


def generate_stories(
    task: str, split: str, n: int, *, seed: int = 0, knobs: Knobs | None = None, version: str = SYNTH_VERSION
) -> Iterator[Story]:
    """Yield the users behind the first examples, with everything that the generator knows about them.

    Args:
        task: The task's name, such as "LaMP-4".
        split: "train", "dev" or "test".
        n: How many users.
        seed: Names the world.
        knobs: How hard the world is; None for the defaults.
        version: One of VERSIONS.

    Yields:
        One story a user, in the order of the examples.

    Raises:
        RpobenchError: There is no such task, split or version, or `n` is negative.
    """
    if split not in SPLITS:
        raise RpobenchError(f"no split {split} in synthetic data: choose one of {', '.join(SPLITS)}")
    if n < 0:
        raise RpobenchError(f"{n} synthetic examples asked for: give 0 or more")

    mechanism = make_mechanism(task, version)
    for number in range(n):
        life = UserLife(mechanism, split, number, f"{version}/{seed}", knobs or Knobs())
        yield life.write_story()


def _label_example(mechanism: Mechanism, story: Story, split: str, rng: Random) -> Labelled:
    """Make the example and its target. Items stand in random order: only their dates tell what is recent."""
    example_id = f"{story.user_id}-{split}"

    profile = []
    for position, piece in enumerate(rng.sample(story.past, len(story.past))):
        fields = mechanism.write_item(piece.slots, piece.answer)
        profile.append(ProfileItem(f"{example_id}-{position}", fields, piece.date))

    input_text = mechanism.write_input(story.question.slots)
    return Labelled(Example(example_id, story.user_id, input_text, tuple(profile)), story.question.answer)


def _write_references(
    mechanism: Mechanism, stories: Sequence[Story], labelled: Sequence[Labelled]
) -> dict[str, dict[str, str]]:
    """Write the answers of both references by example id."""
    best_generic, oracle = {}, {}
    for story, labelled_example in zip(stories, labelled, strict=True):
        example_id, question = labelled_example.example.id, story.question
        best_generic[example_id] = mechanism.write_generic_answer(question.slots)
        oracle[example_id] = mechanism.write_answer(question.slots, question.traits)

    return {"best_generic": best_generic, "oracle": oracle}


def _list_topics(stories: Sequence[Story], labelled: Sequence[Labelled]) -> dict[str, str]:
    """List what every example and every profile item is about, by id."""
    example_topics: dict[str, str] = {}
    item_topics: dict[str, str] = {}
    for story, labelled_example in zip(stories, labelled, strict=True):
        example = labelled_example.example
        example_topics[example.id] = story.question.topic

        topic_by_date = {piece.date: piece.topic for piece in story.past}  # every piece has a day of its own
        item_topics |= {item.id: topic_by_date[item.date] for item in example.profile if item.date}

    return example_topics | item_topics
