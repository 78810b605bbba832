"""The world the mechanisms live in: users with topics and traits, dates, drift, profiles, splits, noise, references.

Every user is made from a random stream of their own, so example i is the same whatever the number of examples. Only
`random.Random` over strings is used: the same world on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from random import Random
from typing import Literal

from rpobench.data.dataset import DataSet
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import SPLITS, Names
from rpobench.types import Example, Labelled, ProfileItem, RpobenchError

SYNTH_VERSION = "synth-v2"

# Imported when asked for: one task's word banks are enough for one task.
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
OLDER: dict[str, dict[str, str]] = {
    "synth-v1": {"LaMP-1": "lamp1:FirstCitations", "LaMP-5": "lamp5:FirstTitles", "LaMP-7": "lamp7:FirstTweets"},
}
VERSIONS = (*OLDER, SYNTH_VERSION)

_FIRST_DAY = date(2016, 1, 1)
MOST_ITEMS = 10_000  # of a profile: the last one is then written in the year 3249
_STEP = 45  # days; one piece is written in each step, on a random day of it


@dataclass(frozen=True)
class Knobs:
    """How hard the world is. `noise`, `drift` and `cold_start` are shares in [0, 1].

    `profile_items` bounds the items of a profile. `traits` lets only the first so many traits of a mechanism vary
    between users (None: all); the others keep their first value. `drift` is the share of users whose drifting traits
    change once, `cold_start` the share with an empty profile. With `split="user"` every split has its own users; with
    "time" all splits have the same users, and a later split asks about a later date.
    """

    noise: float = 0.05
    profile_items: tuple[int, int] = (8, 16)
    traits: int | None = None
    drift: float = 0.5
    cold_start: float = 0.0
    split: Literal["user", "time"] = "user"

    def __post_init__(self) -> None:
        for name in ("noise", "drift", "cold_start"):
            if not 0 <= getattr(self, name) <= 1:
                raise RpobenchError(f"synth knob {name}={getattr(self, name)}: give a share between 0 and 1")
        low, high = self.profile_items
        if not 1 <= low <= high <= MOST_ITEMS:
            raise RpobenchError(
                f"synth knob profile_items={low},{high}: give two numbers, 1 <= low <= high <= {MOST_ITEMS}"
            )
        if self.traits is not None and self.traits < 0:
            raise RpobenchError(f"synth knob traits={self.traits}: give 0 or more")
        if self.split not in ("user", "time"):
            raise RpobenchError(f"synth knob split={self.split}: give user or time")


@dataclass(frozen=True, slots=True)
class Piece:
    """Something a user wrote: what it is about, the traits that held then, and the answer (noise included)."""

    topic: str
    date: date
    slots: Slots
    traits: Traits
    answer: str


@dataclass(frozen=True, slots=True)
class Story:
    """One user's past pieces, oldest first, and the piece that is asked for. What the generator knows, for tests."""

    user_id: str
    past: tuple[Piece, ...]
    asked: Piece


def mechanism(task: str, version: str = SYNTH_VERSION) -> Mechanism:
    """The mechanism of a task by its name ("LaMP-4"), as it is in that version of the world."""
    if task not in MECHANISMS:
        raise RpobenchError(f"no synthetic data for task {task}: choose one of {', '.join(MECHANISMS)}")
    if version not in VERSIONS:
        raise RpobenchError(f"no version {version} of the synthetic world: choose one of {', '.join(VERSIONS)}")
    module, name = OLDER.get(version, {}).get(task, MECHANISMS[task]).split(":")
    made: Mechanism = getattr(import_module(f"rpobench.data.synth.{module}"), name)()
    return made


def generate(
    task: str, split: str, n: int, *, seed: int = 0, knobs: Knobs | None = None, version: str = SYNTH_VERSION
) -> DataSet:
    """The first `n` examples of a task's split, one a user, with best-generic and oracle answers as references.

    `version` is one of VERSIONS.
    """
    made = mechanism(task, version)
    told = list(stories(task, split, n, seed=seed, knobs=knobs, version=version))
    orders = (Random(f"{version}/{seed}/{task}/{story.user_id}/{split}/order") for story in told)
    labelled = tuple(_labelled(made, story, split, rng) for story, rng in zip(told, orders, strict=True))
    ids = [one.example.id for one in labelled]
    references = {
        "best_generic": {id_: made.generic(s.asked.slots) for id_, s in zip(ids, told, strict=True)},
        "oracle": {id_: made.write(s.asked.slots, s.asked.traits) for id_, s in zip(ids, told, strict=True)},
    }
    topics = {id_: s.asked.topic for id_, s in zip(ids, told, strict=True)}
    for one, story in zip(labelled, told, strict=True):
        wrote = {piece.date: piece.topic for piece in story.past}  # every piece has a day of its own
        topics |= {item.id: wrote[item.date] for item in one.example.profile if item.date}
    return DataSet(task, version, split, labelled, references, topics, users="given", synthetic=True)


def stories(
    task: str, split: str, n: int, *, seed: int = 0, knobs: Knobs | None = None, version: str = SYNTH_VERSION
) -> Iterator[Story]:
    """The users behind the first `n` examples, with everything the generator knows about them."""
    if split not in SPLITS:
        raise RpobenchError(f"no split {split} in synthetic data: choose one of {', '.join(SPLITS)}")
    if n < 0:
        raise RpobenchError(f"{n} synthetic examples asked for: give 0 or more")
    made, knobs = mechanism(task, version), knobs or Knobs()
    for index in range(n):
        yield _User(made, split, index, f"{version}/{seed}", knobs).story()


class _User:
    """One user's life: topics, trait values for each topic before and after the change, and what was written when."""

    def __init__(self, made: Mechanism, split: str, index: int, world: str, knobs: Knobs) -> None:
        self._made, self._split, self._knobs = made, split, knobs
        home = split if knobs.split == "user" else "all"
        self.id = f"{made.task.lower()}-{home}-{index}"
        self._stream = f"{world}/{made.task}/{self.id}"
        self._rng = rng = Random(self._stream)
        # With a time split the names of the shared past are the train split's.
        self._past_names = Names(split if knobs.split == "user" else "train")
        self._topics = rng.sample(made.topics, rng.randint(2, 3))
        self._before = self._draw_traits()
        size = rng.randint(*knobs.profile_items)
        self._empty = rng.random() < knobs.cold_start
        self._skip = max(1, size // 4) * (SPLITS.index(split) if knobs.split == "time" else 0)
        self._size = size
        # Inside the profile, with pieces on both sides of the change.
        self._change = round(size * rng.uniform(0.3, 0.7))
        self._after = self._drifted() if rng.random() < knobs.drift else self._before
        self._start = _FIRST_DAY + timedelta(days=rng.randrange(6 * 365))

    def story(self) -> Story:
        """Pieces 0 .. k-1 are the past (the last `size` of them the profile), piece k is asked for."""
        k = self._skip + self._size
        past = [self._piece(self._rng, j, self._past_names, self._topics[j % len(self._topics)]) for j in range(k)]
        rng = Random(f"{self._stream}/{self._split}/asked")
        asked = self._piece(rng, k, Names(self._split), rng.choice(self._topics))
        return Story(self.id, () if self._empty else tuple(past[self._skip :]), asked)

    def _draw_traits(self) -> dict[str, dict[str, str]]:
        """topic -> trait -> value. A trait by topic differs between the user's topics, as far as it has values."""
        made = self._made
        varying = list(made.traits)[: self._knobs.traits]
        drawn: dict[str, dict[str, str]] = {topic: {} for topic in self._topics}
        for trait, values in made.traits.items():
            order = self._rng.sample(values, len(values)) if trait in varying else [values[0]]
            for position, topic in enumerate(self._topics):
                drawn[topic][trait] = order[position % len(order) if trait in made.by_topic else 0]
        return drawn

    def _drifted(self) -> dict[str, dict[str, str]]:
        """Every drifting trait moves on by the same number of values in all topics, so that topics still differ."""
        after = {topic: dict(traits) for topic, traits in self._before.items()}
        varying = list(self._made.traits)[: self._knobs.traits]
        for trait in (t for t in self._made.drifting if t in varying):
            values = self._made.traits[trait]
            by = self._rng.randint(1, len(values) - 1)
            for traits in after.values():
                traits[trait] = values[(values.index(traits[trait]) + by) % len(values)]
        return after

    def _piece(self, rng: Random, j: int, names: Names, topic: str) -> Piece:
        day = self._start + timedelta(days=j * _STEP + rng.randrange(_STEP))
        traits = (self._after if j >= self._change else self._before)[topic]
        slots = self._made.content(rng, topic, names, traits)
        return Piece(topic, day, slots, traits, self._answer(rng, slots, traits))

    def _answer(self, rng: Random, slots: Slots, traits: Traits) -> str:
        """The user's answer; at the noise rate one trait slips to another value, one that shows."""
        right = self._made.write(slots, traits)
        if rng.random() >= self._knobs.noise:
            return right
        slips = [(trait, value) for trait, values in self._made.traits.items() for value in values]
        rng.shuffle(slips)
        answers = (self._made.write(slots, {**traits, trait: value}) for trait, value in slips)
        return next((answer for answer in answers if answer != right), right)


def _labelled(made: Mechanism, story: Story, split: str, rng: Random) -> Labelled:
    """The example and its target. Items stand in random order: dates tell what is recent, the order tells nothing."""
    past = rng.sample(story.past, len(story.past))
    id_ = f"{story.user_id}-{split}"
    profile = tuple(
        ProfileItem(f"{id_}-{position}", made.item(piece.slots, piece.answer), piece.date)
        for position, piece in enumerate(past)
    )
    return Labelled(Example(id_, story.user_id, made.input(story.asked.slots), profile), story.asked.answer)
