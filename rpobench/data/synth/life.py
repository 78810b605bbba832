"""One synthetic user's life: topics, traits and their change, and what was written when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from rpobench.data.synth.knobs import Knobs
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import SPLITS, Names

_FIRST_DAY = date(2016, 1, 1)
_STEP = 45  # days; one piece is written in each step, on a random day of it


@dataclass(frozen=True, slots=True)
class Piece:
    """Something a user wrote.

    Attributes:
        topic: What it is about, one of the mechanism's topics.
        date: The day on which it was written.
        slots: Its content.
        traits: The user's traits for this topic on that day.
        answer: What the user wrote, noise included.
    """

    topic: str
    date: date
    slots: Slots
    traits: Traits
    answer: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the generator knows about a user; tests use it.

    Attributes:
        user_id: The user's id.
        past: The pieces of the profile, oldest first; empty for a cold start.
        question: The piece whose answer the example asks for.
    """

    user_id: str
    past: tuple[Piece, ...]
    question: Piece


class UserLife:
    """One user: topics, the traits of each topic before and after their change, and what was written when.

    Everything is drawn from a random stream of the user's own.

    Args:
        mechanism: The mechanism of the task.
        split: "train", "dev" or "test".
        number: Which user of the split, from 0.
        world: The version and seed of the world, such as `synth-v2/0`.
        knobs: How hard the world is.

    Attributes:
        id: The user's id.
    """

    def __init__(self, mechanism: Mechanism, split: str, number: int, world: str, knobs: Knobs) -> None:
        self._mechanism = mechanism
        self._split = split
        self._knobs = knobs
        home_split = split if knobs.split == "user" else "all"
        self.id = f"{mechanism.task.lower()}-{home_split}-{number}"
        self._stream = f"{world}/{mechanism.task}/{self.id}"
        self._rng = rng = Random(self._stream)

        # With a time split the names of the shared past are the train split's.
        self._past_names = Names(split if knobs.split == "user" else "train")
        self._topics = rng.sample(mechanism.topics, rng.randint(2, 3))
        self._traits_before = self._draw_traits()

        self._profile_size = rng.randint(*knobs.profile_items)
        self._is_cold_start = rng.random() < knobs.cold_start

        # With a time split a later split sees later pieces: as many of the first ones are out of its profile.
        quarter = max(1, self._profile_size // 4)
        self._forgotten_pieces = quarter * SPLITS.index(split) if knobs.split == "time" else 0

        # Inside the profile, with pieces on both sides of the change.
        self._change_index = round(self._profile_size * rng.uniform(0.3, 0.7))
        has_drift = rng.random() < knobs.drift
        self._traits_after = self._draw_drifted_traits() if has_drift else self._traits_before
        self._start = _FIRST_DAY + timedelta(days=rng.randrange(6 * 365))

    def write_story(self) -> Story:
        """Write all pieces: the last ones of the past are the profile, and the piece after them is asked for."""
        past_length = self._forgotten_pieces + self._profile_size
        past = []
        for index in range(past_length):
            topic = self._topics[index % len(self._topics)]
            past.append(self._write_piece(self._rng, index, self._past_names, topic))

        # A stream of its own, so that with a time split every split has the same past and another question.
        rng = Random(f"{self._stream}/{self._split}/asked")
        question = self._write_piece(rng, past_length, Names(self._split), rng.choice(self._topics))

        profile = () if self._is_cold_start else tuple(past[self._forgotten_pieces :])
        return Story(self.id, profile, question)

    def _list_varying_traits(self) -> list[str]:
        return list(self._mechanism.traits)[: self._knobs.traits]

    def _draw_traits(self) -> dict[str, dict[str, str]]:
        """Draw trait values by topic and trait. A trait by topic differs between topics, as far as it has values."""
        varying_traits = self._list_varying_traits()
        traits_by_topic: dict[str, dict[str, str]] = {topic: {} for topic in self._topics}

        for trait, values in self._mechanism.traits.items():
            order = self._rng.sample(values, len(values)) if trait in varying_traits else [values[0]]
            for position, topic in enumerate(self._topics):
                value_index = position % len(order) if trait in self._mechanism.by_topic else 0
                traits_by_topic[topic][trait] = order[value_index]
        return traits_by_topic

    def _draw_drifted_traits(self) -> dict[str, dict[str, str]]:
        """Move every drifting trait on by the same number of values in all topics, so that topics still differ."""
        varying_traits = self._list_varying_traits()
        traits_by_topic = {topic: dict(traits) for topic, traits in self._traits_before.items()}

        for trait in self._mechanism.drifting:
            if trait not in varying_traits:
                continue
            values = self._mechanism.traits[trait]
            shift = self._rng.randint(1, len(values) - 1)
            for traits in traits_by_topic.values():
                traits[trait] = values[(values.index(traits[trait]) + shift) % len(values)]
        return traits_by_topic

    def _write_piece(self, rng: Random, index: int, names: Names, topic: str) -> Piece:
        day = self._start + timedelta(days=index * _STEP + rng.randrange(_STEP))
        traits = (self._traits_after if index >= self._change_index else self._traits_before)[topic]
        slots = self._mechanism.draw_content(rng, topic, names, traits)
        return Piece(topic, day, slots, traits, self._write_answer(rng, slots, traits))

    def _write_answer(self, rng: Random, slots: Slots, traits: Traits) -> str:
        """Write the user's answer; at the noise rate one trait slips to another value that changes the answer."""
        right_answer = self._mechanism.write_answer(slots, traits)
        if rng.random() >= self._knobs.noise:
            return right_answer

        slips = [(trait, value) for trait, values in self._mechanism.traits.items() for value in values]
        rng.shuffle(slips)
        for trait, value in slips:
            answer = self._mechanism.write_answer(slots, {**traits, trait: value})
            if answer != right_answer:
                return answer
        return right_answer
