"""LaMP-5 in the synthetic world: a scholar's title for her abstract, by her own habits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp5_words import BRIEFS, FIELDS, MEASURES, OPENINGS, PARTS, PROPOSALS, RESULTS
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import a_or_an, capital, phrase, spell

_FORMS = {"method": "{method}:", "towards": "towards", "study": "a study of", "rethinking": "rethinking"}
_ORDERS = {
    "approach": "{adjective} {approach} {noun} for {problem}",
    "problem": "{problem} with {adjective} {approach} {noun}",
}
_SCOPES = {"domain": "in {domain}", "lessons": "- lessons from {data}", "gain": "- {gain} percent better", "none": ""}


class Titles(Mechanism):
    """Form, order, claim, word for the approach, and scope or subtitle of a title are the scholar's.

    Problem, approach, method name, domain and data are in the abstract.
    """

    task = "LaMP-5"
    topics = tuple(FIELDS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "form": tuple(_FORMS),
        "order": tuple(_ORDERS),
        "adjective": ("simple", "robust", "scalable", "unified"),
        "noun": ("framework", "model", "method", "scheme"),
        "scope": tuple(_SCOPES),
    }
    by_topic = ("scope",)
    drifting: ClassVar[tuple[str, ...]] = ("form", "adjective", "noun")

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        field = FIELDS[topic]
        approach = rng.choice(field.approaches)
        slots = {
            "problem": f"{rng.choice(field.modifiers)} {rng.choice(field.problems)}",
            "approach": approach,
            "a_approach": a_or_an(approach),
            "method": names.method(rng),
            "domain": rng.choice(field.domains),
            "data": f"{rng.randrange(3, 40)} {rng.choice(field.data)}",
            "gain": str(rng.randrange(2, 60)),
            "measure": rng.choice(MEASURES),
            "part": rng.choice(PARTS),
        }

        banks = {"opening": OPENINGS, "proposal": PROPOSALS, "result": RESULTS, "brief": BRIEFS}
        sentences = {name: capital(spell(rng, rng.choice(bank), slots)) for name, bank in banks.items()}
        return {**slots, **sentences}

    def write_input(self, slots: Slots) -> str:
        abstract = f"{slots['opening']}. {slots['proposal']}. {slots['result']}."
        return f"Generate a title for the following abstract of a paper: {abstract}"

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        core = _ORDERS[traits["order"]].format(**{**slots, "adjective": traits["adjective"], "noun": traits["noun"]})
        form, scope = _FORMS[traits["form"]].format(**slots), _SCOPES[traits["scope"]].format(**slots)
        return phrase(form, core, scope)

    def write_generic_answer(self, slots: Slots) -> str:
        return f"{capital(slots['a_approach'])} for {slots['problem']}"

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"title": answer, "abstract": f"{slots['brief']}."}


class TitlesV1(Titles):
    """As in synth-v1, where a trained rewriter came nine tenths of the way to the oracle: only the form drifts."""

    drifting = ("form",)
