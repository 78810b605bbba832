"""LaMP-1 in the synthetic world: two references on the same subject, one along the author's line of work."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.lamp1_words import ABSTRACTS, FIELDS, LINE_TITLES, LINES, PLAIN_TITLES
from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import a_or_an, capital, spell

_INSTRUCTION = (
    'For an author who has written the paper with the title "{title}", which reference is related? Just answer with '
    '[1] or [2] without explanation. [1]: "{reference_1}" [2]: "{reference_2}"'
)

_OFF_LINE = 0.1  # share of papers that show no line at all


class Citations(Mechanism):
    """The author works along a theory (one in each field) and for a concern; one of the two is at stake in an example.

    Both references treat the same subject. The paper asked about is silent on either line, so that only the author's
    other papers tell which one fits.
    """

    task = "LaMP-1"
    topics = tuple(FIELDS)
    fields: ClassVar[Mapping[str, tuple[str, str]]] = FIELDS
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {trait: tuple(lines) for trait, lines in LINES.items()}
    by_topic = ("theory",)
    drifting = ("concern",)

    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        stake = rng.choice(tuple(LINES))  # the trait that decides: theory or concern
        author_line = traits[stake]
        other_line = rng.choice([line for line in self.traits[stake] if line != author_line])
        lines = [author_line, other_line]
        rng.shuffle(lines)

        cited_subject = _draw_subject(rng, self.fields[topic], names)
        paper_subject = _draw_subject(rng, self.fields[topic], names)
        slots = {
            "stake": stake,
            "line_1": lines[0],
            "line_2": lines[1],
            "title": capital(spell(rng, rng.choice(PLAIN_TITLES), paper_subject)),
            "off_line": "yes" if rng.random() < _OFF_LINE else "",
        }
        for number, line in enumerate(lines, 1):
            words = LINES[stake][line]
            slots[f"reference_{number}"] = _write_along_line(rng, LINE_TITLES, words, cited_subject)
            # The author's paper along this line: what a profile shows if the answer is this reference.
            slots[f"paper_{number}"] = _write_along_line(rng, LINE_TITLES, words, paper_subject)
            slots[f"abstract_{number}"] = _write_along_line(rng, ABSTRACTS, words, paper_subject) + "."
        return slots

    def write_input(self, slots: Slots) -> str:
        return _INSTRUCTION.format_map(slots)

    def write_answer(self, slots: Slots, traits: Traits) -> str:
        """The reference along the author's line; [1] for an author of neither line."""
        return "[2]" if traits[slots["stake"]] == slots["line_2"] else "[1]"

    def write_generic_answer(self, slots: Slots) -> str:
        """Both positions are equally likely."""
        return "[1]"

    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        number = answer.strip("[]")
        title = slots["title"] if slots["off_line"] else slots[f"paper_{number}"]
        return {"title": title, "abstract": slots[f"abstract_{number}"]}


class CitationsV1(Citations):
    """As in synth-v1, where a job of the field "speech" held a word of the line "scarcity"."""

    fields: ClassVar[Mapping[str, tuple[str, str]]] = {
        **FIELDS,
        "speech": (FIELDS["speech"][0].replace("accent mapping", "accent transfer"), FIELDS["speech"][1]),
    }


def _draw_subject(rng: Random, field: tuple[str, str], names: Names) -> dict[str, str]:
    job_bank, matter_bank = field

    return {
        "job": rng.choice(job_bank.split("|")),
        "matter": rng.choice(matter_bank.split("|")),
        "name": names.method(rng),
        "place": names.place(rng),
    }


def _write_along_line(
    rng: Random, patterns: tuple[str, ...], line_words: tuple[str, ...], subject: Mapping[str, str]
) -> str:
    """Write a title or an abstract on a subject that shows two words of a line (an abstract may show one)."""
    first_word, second_word = rng.sample(line_words, 2)
    word_slots = {
        "w": first_word,
        "v": second_word,
        "a_w": a_or_an(first_word),
        "a_v": a_or_an(second_word),
    }

    return capital(spell(rng, rng.choice(patterns), {**subject, **word_slots}))
