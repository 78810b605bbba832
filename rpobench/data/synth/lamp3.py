"""LaMP-3 in the synthetic world: a review praises one thing and blames another, and the stars depend on who counts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from random import Random
from statistics import median_low
from typing import ClassVar

from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import sentences, spell

_INSTRUCTION = (
    "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without "
    "further "
    "explanation. review: "
)

# topic -> the question of weight its reviews raise, what the thing is called, the nouns of its making and of its use
_GOODS = {
    "audio": ("price or quality", "headset|speaker", "jack|casing", "fit|headband"),
    "kitchen": ("quality or comfort", "blender|kettle", "motor|spout", "handle|lid"),
    "luggage": ("price or quality", "backpack|suitcase", "zipper|lining", "strap|grip"),
    "furniture": ("price or comfort", "desk chair|sofa bed", "frame|joint", "seat|backrest"),
    "shoes": ("quality or comfort", "pair of boots|pair of sandals", "sole|seam", "insole|heel"),
    "garden": ("price or comfort", "trimmer|lawn mower", "blade|engine", "trigger|pedal"),
    "toys": ("price or quality", "train set|toy robot", "gearbox|shell", "manual|remote"),
    "phones": ("quality or comfort", "phone|tablet", "screen|battery", "menu|keyboard"),
}

_SHIFT = {"even": 0, "strict": -1, "lenient": 1, "savage": -2, "gushing": 2}
_CONFLICT = 0.45  # share of reviews that praise the one thing and blame the other

# (aspect, praised or blamed) -> patterns. Most readings of one side share a word, so that like reviews are found.
_OPINIONS = {
    ("price", "+"): "[a real bargain|quite a bargain|a bargain in every shop|a bargain for what it does|great value]",
    ("price", "-"): "[badly overpriced|overpriced by half|plainly overpriced|overpriced even on sale|a rip-off]",
    ("quality", "+"): "[the {made} is sturdy|a sturdy {made}|sturdy {made} all round|a {made} sturdy as promised"
    "|flawless {made}]",
    ("quality", "-"): "[the {made} is flimsy|a flimsy {made}|flimsy {made} all round|a {made} flimsy as a toy"
    "|the {made} broke]",
    ("comfort", "+"): "[the {used} feels comfortable|a comfortable {used}|comfortable {used} from day one|the "
    "{used} is a joy]",
    ("comfort", "-"): "[the {used} feels awkward|an awkward {used}|awkward {used} from day one|the {used} is a pain]",
}

_OPENER = (
    "[bought|ordered|got|picked up|tried] [this|the] {brand} {thing} [for my [brother|sister|father|mother|nephew|niece"
    "|neighbour|daughter|son|roommate|boss|friend]|as a gift|on a whim|last [January|February|March|April|May|June|July"
    "|August|October|November|December]|after reading reviews|to replace an old one|for a trip to {town}"
    "|for our place in {town}]"
)
_LAYOUTS = (
    "{opener}. {first}, {but} {second}.",
    "{first}, {but} {second}. {opener}.",
    "{opener}: {first}, {but} {second}.",
    "{first}. {opener}. {but} {second}.",
    "{opener}. To sum up, {first}, {but} {second}.",
    "{opener}. {second}, {but} {first}.",
)
_ITEM_LAYOUTS = (
    "{brand} {thing}: {first}, {but} {second}.",
    "{first}, {but} {second}. My {thing}.",
    "My {brand} {thing}: {second}, {but} {first}.",
)


class Ratings(Mechanism):
    """A review speaks of two things. What the reviewer weighs of the two gives the side, her harshness the level.

    Some weights depend on the kind of goods, some change with time.
    """

    task = "LaMP-3"
    topics = tuple(_GOODS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "harshness": tuple(_SHIFT),
        "price or quality": ("price", "quality"),
        "quality or comfort": ("quality", "comfort"),
        "price or comfort": ("price", "comfort"),
    }
    by_topic = ("price or quality",)
    drifting = ("quality or comfort", "price or comfort")

    def content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        question, *banks = _GOODS[topic]
        thing, made, used = (rng.choice(bank.split("|")) for bank in banks)
        slots = {
            "question": question,
            "brand": names.product(rng),
            "town": names.place(rng),
            "thing": thing,
            "made": made,
            "used": used,
        }
        one, other = question.split(" or ")
        conflict = rng.random() < _CONFLICT
        sides = rng.choice(("+-", "-+") if conflict else ("++", "--"))
        slots |= {one: sides[0], other: sides[1]}
        said = [spell(rng, _OPINIONS[aspect, slots[aspect]], slots) for aspect in (one, other)]
        rng.shuffle(said)
        slots |= {"first": said[0], "second": said[1], "but": rng.choice(("but", "yet")) if conflict else "and"}
        slots["opener"] = spell(rng, _OPENER, slots)
        return slots | {"layout": rng.choice(_LAYOUTS), "item_layout": rng.choice(_ITEM_LAYOUTS)}

    def input(self, slots: Slots) -> str:
        return _INSTRUCTION + sentences(slots["layout"].format_map(slots))

    def write(self, slots: Slots, traits: Traits) -> str:
        return _stars(slots[traits[slots["question"]]], traits["harshness"])

    def generic(self, slots: Slots) -> str:
        """The median over all reviewers: no fixed answer has a smaller expected error."""
        sides = [slots[aspect] for aspect in self.traits[slots["question"]]]
        return median_low(_stars(side, harshness) for side, harshness in product(sides, _SHIFT))

    def item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"text": sentences(slots["item_layout"].format_map(slots)), "score": answer}


def _stars(side: str, harshness: str) -> str:
    """4 where the thing that counts is praised "+", 2 where it is blamed "-", moved by harshness within 1 to 5."""
    return str(min(5, max(1, (4 if side == "+" else 2) + _SHIFT[harshness])))
