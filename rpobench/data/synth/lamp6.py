"""LaMP-6 in the synthetic world: a colleague's subject line for her mail, by her own habits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp6_words import BRIEFS, CLOSINGS, DEADLINES, GREETINGS, REASONS, REQUESTS, STATES, WORKS
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import capital, phrase, spell

_OPENERS = {"action": "Action needed:", "fyi": "FYI", "reminder": "Gentle reminder:", "quick": "Quick one:"}
_ORDERS = {
    "project": "{project}: {ask} {verb} {paper} {due}",
    "verb": "{ask} {verb} {paper} for {project} {due}",
    "deadline": "{due}: {ask} {verb} {paper}, {project}",
    "terse": "{ask} {verb} {paper}",
}
_ASKS = {"please": "please", "kindly": "kindly", "need": "need you to", "time": "time to"}
_DUES = {"by": "by {deadline}", "due": "due {deadline}", "latest": "{deadline} latest"}
_CLOSERS = {"ahead": "ahead of {occasion}", "thanks": "- thanks so much", "call": "- your call", "rush": "- no rush"}


class Subjects(Mechanism):
    """Opener, order (project, verb or deadline first, or terse), asking word, word for the deadline and closer.

    Paper, project, verb, deadline and occasion are in the mail.
    """

    task = "LaMP-6"
    topics = tuple(WORKS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "opener": tuple(_OPENERS),
        "order": tuple(_ORDERS),
        "ask": tuple(_ASKS),
        "due": tuple(_DUES),
        "closer": tuple(_CLOSERS),
    }
    by_topic = ("opener",)
    drifting = ("closer",)

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        work = WORKS[topic]
        slots = {
            "paper": rng.choice(work.papers),
            "verb": rng.choice(work.verbs),
            "occasion": rng.choice(work.occasions),
            "project": names.project(rng),
            "deadline": rng.choice(DEADLINES),
            "reader": names.given_name(rng),
            "sender": names.given_name(rng),
        }

        banks = {
            "greeting": GREETINGS,
            "state": STATES,
            "request": REQUESTS,
            "reason": REASONS,
            "closing": CLOSINGS,
            "brief": BRIEFS,
        }
        sentences = {name: capital(spell(rng, rng.choice(bank), slots)) for name, bank in banks.items()}
        return {**slots, **sentences}

    def write_input(self, slots: Slots) -> str:
        mail = f"{slots['greeting']} {slots['state']}. {slots['request']}. {slots['reason']}. {slots['closing']}"
        return f"Generate a subject for the following email: {mail}"

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        words = {**slots, "ask": _ASKS[traits["ask"]], "due": _DUES[traits["due"]].format(**slots)}
        core = _ORDERS[traits["order"]].format(**words)
        return phrase(_OPENERS[traits["opener"]], core, _CLOSERS[traits["closer"]].format(**slots))

    def write_generic_answer(self, slots: Slots) -> str:
        return f"{capital(slots['verb'])} {slots['paper']} for {slots['project']} before {slots['deadline']}"

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"title": answer, "text": f"{slots['brief']}."}
