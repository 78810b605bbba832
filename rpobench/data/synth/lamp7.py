"""LaMP-7 in the synthetic world: how somebody would tweet a plain tweet, by her own habits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp7_words import ADVICE, EVENTS, SPELLINGS, TALKS, VERDICTS, WHENS
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import capital, spell

_OPENERS = {"honestly": "honestly", "ok so": "ok so", "ngl": "not gonna lie", "guys": "guys guys"}
_ORDERS = {"event": "the {thing} {spot}, {intensity} {verdict}", "verdict": "{intensity} {verdict}, the {thing} {spot}"}
_ASIDES = {"joke": "no joke", "trust": "trust me", "usual": "as usual", "none": ""}
_SIGN_OFFS = {"goodnight": "anyway goodnight", "help": "send help", "tweet": "thats the tweet", "love": "love that"}


class Tweets(Mechanism):
    """Opener, order, slang for "very", an aside, spelling and sign-off are the author's.

    What was done, where, how it was and what the reader should do is in the plain tweet.
    """

    task = "LaMP-7"
    topics = tuple(TALKS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "opener": tuple(_OPENERS),
        "order": tuple(_ORDERS),
        "intensity": ("super", "hella", "mad", "way too"),
        "aside": tuple(_ASIDES),
        "spelling": tuple(SPELLINGS),
        "sign-off": tuple(_SIGN_OFFS),
    }
    by_topic = ("aside",)
    drifting: ClassVar[tuple[str, ...]] = ("opener", "intensity", "sign-off")

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        talk = TALKS[topic]
        entities = {
            "org": names.org(rng),
            "place": names.place(rng),
            "given": names.given_name(rng),
            "surname": names.surname(rng),
        }
        slots = {
            "deed": rng.choice(talk.deeds),
            "thing": rng.choice(talk.things),
            "spot": rng.choice(talk.spots).format(**entities),
            "verdict": rng.choice(talk.verdicts),
            "advice": rng.choice(talk.advice),
            "when": rng.choice(WHENS),
        }

        event, verdict, advice = (spell(rng, rng.choice(bank), slots) for bank in (EVENTS, VERDICTS, ADVICE))
        plain_tweet = f"{event} {verdict}. {capital(advice)}.".replace(" ,", ",")
        return {**slots, "plain": plain_tweet}

    def write_input(self, slots: Slots) -> str:
        return f"Paraphrase the following tweet without any explanation before or after it: {slots['plain']}"

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        core = _ORDERS[traits["order"]].format(**{**slots, "intensity": traits["intensity"]})

        spelling = SPELLINGS[traits["spelling"]]
        when = spelling.get(slots["when"], slots["when"])
        advice = f", {spelling['you should']} {slots['advice']} {when}"

        parts = (_OPENERS[traits["opener"]], core, _ASIDES[traits["aside"]], advice, _SIGN_OFFS[traits["sign-off"]])
        return " ".join(part for part in parts if part).replace(" ,", ",")

    def write_generic_answer(self, slots: Slots) -> str:
        return "The {thing} {spot} was very {verdict}, you should {advice} {when}".format(**slots)

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"text": answer}


class TweetsV1(Tweets):
    """As in synth-v1: only the sign-off drifts."""

    drifting = ("sign-off",)
