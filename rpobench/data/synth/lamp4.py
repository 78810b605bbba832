"""LaMP-4 in the synthetic world: a journalist's headline for an article, by her own habits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp4_words import BEATS, BRIEFS, DAYS, FACT_FRAMES, FACTS, LEADS
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import capital, phrase, spell

_KICKERS = {"breaking": "Breaking news:", "just in": "Just in:", "must read": "Must read:", "none": ""}
_VERBS = {"plans": "plans to", "vows": "vows to", "set": "set to", "ready": "ready to"}
_FORMS = {
    "name": "{actor} {lead} {verb} {thing}",
    "number": "{thing} {actor} {lead} {verb}",
    "question": "why {actor} {lead} {verb} {thing}",
}
_DETAILS = {"place": "in {place}", "day": "on {day}", "none": ""}
_ANGLES = {"cost": "costing {cost}", "people": "affecting {people}", "cause": "after {cause}"}


class Headlines(Mechanism):
    """Kicker, form, word choice, length (place, day or neither) and angle of a headline are the journalist's.

    What happened, to what, where and when is in the article, and so is every fact a habit may add.
    """

    task = "LaMP-4"
    topics = tuple(BEATS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "kicker": tuple(_KICKERS),
        "form": tuple(_FORMS),
        "verb": tuple(_VERBS),
        "detail": tuple(_DETAILS),
        "angle": tuple(_ANGLES),
    }
    by_topic = ("angle",)
    drifting = ("kicker",)

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        beat = BEATS[topic]
        verb, thing = rng.choice(beat.acts)
        slots = {
            "kind": rng.choice(beat.actors),
            "actor": names.org(rng),
            "verb": verb,
            "thing": f"{rng.randrange(12, 99)} {thing}",
            "place": names.place(rng),
            "day": rng.choice(DAYS),
            "cost": f"{rng.randrange(2, 99)} million",
            "people": f"{rng.randrange(12, 99)} {rng.choice(beat.people)}",
            "cause": rng.choice(beat.causes),
        }

        slots["lead"] = capital(spell(rng, rng.choice(LEADS), slots)) + "."
        slots["brief"] = capital(spell(rng, rng.choice(BRIEFS), slots)) + "."
        facts = rng.sample(FACTS, 3)
        slots["facts"] = capital(spell(rng, rng.choice(FACT_FRAMES).format(*facts), slots))
        return slots

    def write_input(self, slots: Slots) -> str:
        return f"Generate a headline for the following article: {slots['lead']} {slots['facts']}"

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        core = _FORMS[traits["form"]].format(**{**slots, "lead": _VERBS[traits["verb"]]})
        detail = _DETAILS[traits["detail"]].format(**slots)
        angle = _ANGLES[traits["angle"]].format(**slots)
        return phrase(_KICKERS[traits["kicker"]], core, detail, angle)

    def write_generic_answer(self, slots: Slots) -> str:
        return f"{slots['actor']} will {slots['verb']} {slots['thing']} in {slots['place']}"

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"title": answer, "text": slots["brief"]}
