"""LaMP-3 in the synthetic world: a review praises one thing and blames another, and the stars depend on who counts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from random import Random
from statistics import median_low
from typing import ClassVar

from rpobench.data.synth.lamp3_words import GOODS, ITEM_LAYOUTS, LAYOUTS, OPENER, OPINIONS
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import sentences, spell

_INSTRUCTION = (
    "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without "
    "further explanation. review: "
)

_SHIFT = {"even": 0, "strict": -1, "lenient": 1, "savage": -2, "gushing": 2}
_CONFLICT = 0.45  # share of reviews that praise the one thing and blame the other


class Ratings(Mechanism):
    """A review speaks of two things. What the reviewer weighs of the two gives the side, her harshness the level.

    Some weights depend on the kind of goods, some change with time.
    """

    task = "LaMP-3"
    topics = tuple(GOODS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "harshness": tuple(_SHIFT),
        "price or quality": ("price", "quality"),
        "quality or comfort": ("quality", "comfort"),
        "price or comfort": ("price", "comfort"),
    }
    by_topic = ("price or quality",)
    drifting = ("quality or comfort", "price or comfort")

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        question, *banks = GOODS[topic]
        thing, quality_noun, comfort_noun = (rng.choice(bank.split("|")) for bank in banks)
        slots = {
            "question": question,
            "brand": names.product(rng),
            "town": names.place(rng),
            "thing": thing,
            "made": quality_noun,
            "used": comfort_noun,
        }

        # A slot for each of the two aspects, such as "price": "+" where the review praises it, "-" where it blames it.
        aspects = question.split(" or ")
        is_conflict = rng.random() < _CONFLICT
        sides = rng.choice(("+-", "-+") if is_conflict else ("++", "--"))
        slots |= dict(zip(aspects, sides, strict=True))

        opinions = [spell(rng, OPINIONS[aspect, slots[aspect]], slots) for aspect in aspects]
        rng.shuffle(opinions)
        slots |= {"first": opinions[0], "second": opinions[1]}
        slots["but"] = rng.choice(("but", "yet")) if is_conflict else "and"

        slots["opener"] = spell(rng, OPENER, slots)
        return slots | {"layout": rng.choice(LAYOUTS), "item_layout": rng.choice(ITEM_LAYOUTS)}

    def write_input(self, slots: Slots) -> str:
        return _INSTRUCTION + sentences(slots["layout"].format_map(slots))

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        deciding_aspect = traits[slots["question"]]
        return _choose_stars(slots[deciding_aspect], traits["harshness"])

    def write_generic_answer(self, slots: Slots) -> str:
        """The median over all reviewers: no fixed answer has a smaller expected error."""
        sides = [slots[aspect] for aspect in self.traits[slots["question"]]]
        return median_low(_choose_stars(side, harshness) for side, harshness in product(sides, _SHIFT))

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"text": sentences(slots["item_layout"].format_map(slots)), "score": answer}


def _choose_stars(side: str, harshness: str) -> str:
    """Give 4 where the thing that counts is praised "+", 2 where it is blamed "-", moved by harshness within 1 to 5."""
    stars = (4 if side == "+" else 2) + _SHIFT[harshness]
    return str(min(5, max(1, stars)))
