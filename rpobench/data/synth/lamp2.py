"""LaMP-2 in the synthetic world: a film that carries two tags, and a viewer who always picks the same of the two."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp2_words import CUES, ENDINGS, LEADS, PLACES
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import sentences, spell

# The official words of the task, with its 15 tags in official order.
_INSTRUCTION = (
    "Which tag does this movie relate to among the following tags? Just answer with the tag name without further "
    "explanation. tags: [sci-fi, based on a book, comedy, action, twist ending, dystopia, dark comedy, classic, "
    "psychology, fantasy, romance, thought-provoking, social commentary, violence, true story] description: "
)

# topic -> the two questions of taste its films raise; every question is raised by two topics.
_QUESTIONS = {
    "space": ("sci-fi or dystopia", "thought-provoking or social commentary"),
    "city": ("sci-fi or dystopia", "action or violence"),
    "war": ("action or violence", "true story or social commentary"),
    "village": ("comedy or dark comedy", "fantasy or romance"),
    "family": ("comedy or dark comedy", "psychology or twist ending"),
    "clinic": ("psychology or twist ending", "thought-provoking or social commentary"),
    "court": ("classic or based on a book", "fantasy or romance"),
    "sea": ("classic or based on a book", "true story or social commentary"),
}

_LAYOUTS = (
    "{lead} {place}: {cue_1}, {cue_2} and {end}.",
    "{cue_1} and {cue_2}: {lead} {place}, with {end}.",
    "{lead} {place}. Expect {cue_1}, then {cue_2}, and {end}.",
    "{cue_1} meets {cue_2} when {lead} {place}; {end}.",
    "{lead} {place}. Few forget {cue_1}, {end} and {cue_2}.",
    "{lead} {place}, with {cue_1}. Later come {cue_2} and {end}.",
)
_ITEM_LAYOUTS = ("{lead}. {cue_1}, {cue_2}.", "{cue_1} and {cue_2} as {lead}.", "{lead}: {cue_1}, {cue_2}.")


class Tags(Mechanism):
    """A trait is a question of taste: two tags fit the film, and this viewer has a side.

    Some sides depend on the setting, some change with time.
    """

    task = "LaMP-2"
    topics = tuple(_QUESTIONS)
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {
        question: tuple(question.split(" or ")) for question in dict.fromkeys(chain(*_QUESTIONS.values()))
    }
    by_topic = ("sci-fi or dystopia", "comedy or dark comedy", "fantasy or romance")
    drifting = ("action or violence", "psychology or twist ending")

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        question = rng.choice(_QUESTIONS[topic])
        tags = list(self.traits[question])
        rng.shuffle(tags)

        entities = {"name": names.surname(rng), "town": names.place(rng)}
        return {
            "question": question,
            "lead": spell(rng, LEADS[topic], entities),
            "place": spell(rng, PLACES[topic], entities),
            "cue_1": spell(rng, CUES[tags[0]], {}),
            "cue_2": spell(rng, CUES[tags[1]], {}),
            "end": spell(rng, ENDINGS, {}),
            "layout": rng.choice(_LAYOUTS),
            "item_layout": rng.choice(_ITEM_LAYOUTS),
        }

    def write_input(self, slots: Slots) -> str:
        return _INSTRUCTION + sentences(slots["layout"].format(**slots))

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        return traits[slots["question"]]

    def write_generic_answer(self, slots: Slots) -> str:
        """Viewers are split evenly, so one side is as good as the other."""
        return self.traits[slots["question"]][0]

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        return {"description": sentences(slots["item_layout"].format(**slots)), "tag": answer}
