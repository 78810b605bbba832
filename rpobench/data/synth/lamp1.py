"""LaMP-1 in the synthetic world: two references on the same subject, one along the author's line of work."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.mechanism import Mechanism, Slots, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import a_or_an, capital, spell

_INSTRUCTION = (
    'For an author who has written the paper with the title "{title}", which reference is related? Just answer with '
    '[1] or [2] without explanation. [1]: "{reference_1}" [2]: "{reference_2}"'
)

# field -> its tasks and its objects
_FIELDS = {
    "retrieval": (
        "query rewriting|passage ranking|index pruning|click modeling",
        "web archives|legal cases|product catalogs|patent files",
    ),
    "robotics": (
        "grasp planning|path following|legged walking|docking",
        "warehouse arms|drones|underwater gliders|delivery carts",
    ),
    "networks": (
        "traffic routing|congestion control|link scheduling|load balancing",
        "data centers|mesh radios|satellite links|optical rings",
    ),
    "vision": (
        "object tracking|depth estimation|scene labeling|image repair",
        "street cameras|cell slides|aerial photos|thermal video",
    ),
    "biology": (
        "gene calling|protein folding|cell counting|drug screening",
        "yeast strains|tumor samples|plant roots|gut bacteria",
    ),
    "speech": (
        "speaker matching|accent mapping|word spotting|noise removal",
        "phone calls|radio shows|meeting rooms|hearing aids",
    ),
    "databases": (
        "join ordering|schema matching|log recovery|query caching",
        "sensor tables|bank ledgers|graph stores|time series",
    ),
    "security": (
        "intrusion detection|malware sorting|key exchange|spam filtering",
        "smart locks|mail servers|payment apps|power grids",
    ),
}

# trait -> line -> the words it is known by
_LINES = {
    "theory": {
        "probability": ("Bayesian", "posterior", "sampling", "variational"),
        "games": ("auction", "equilibrium", "incentive", "bidding"),
        "evolution": ("genetic", "mutation", "crossover", "swarm"),
        "logic": ("theorem", "symbolic", "axiom", "proof"),
        "geometry": ("manifold", "curvature", "spectral", "tensor"),
    },
    "concern": {
        "privacy": ("anonymous", "encrypted", "private", "secret"),
        "cost": ("cheap", "sparse", "compressed", "frugal"),
        "trust": ("explainable", "transparent", "auditable", "interpretable"),
        "scarcity": ("unlabeled", "transfer", "pretrained", "zero-shot"),
        "speed": ("streaming", "parallel", "cached", "real-time"),
    },
}

# How a title names two words of its line; {w} and {v} are the words.
_LINED = (
    "{w} [and|with] {v} [methods|models] for {job} [in|on] {matter}",
    "{w} {job} for {matter}: {a_v} [approach|view|method]",
    "[toward|on] {w} {job} [in|of] {matter} with {v} [tools|search]",
    "{job} [in|over] {matter} [by|through] {w}, {v} [means|steps]",
    "{name}: {w} and {v} {job} for {matter}",
    "{a_w} and {v} [account|study] of {job} in {matter}",
)
_PLAIN = (
    "[new results on|another look at|a survey of|notes on|open problems in|a benchmark for|progress in] {job} "
    "[for|in|over] {matter}",
    "{name}[, a system| at work|: a case]: {job} [for|in|over] {matter}",
    "[faster|better|stable|large-scale|practical|adaptive|robust] {job} [for|in|over] {matter} [with|using] {name}",
    "{name}: [improving|rethinking|measuring|testing|comparing|revisiting] {job} [for|in|over] {matter}",
    "{job} [for|in|over] {matter}: [lessons|evidence|experience|insights|surprises] from {place}",
)
_ABSTRACTS = (
    "we [study|revisit|test|improve] {job} with {w} ideas[ and report gains on {matter}|; {matter} serve as our "
    "test bed|]",
    "for {matter}, {a_w} scheme [helps|guides|speeds up] {job}[ in practice| on three data sets|]",
)
_OFF_LINE = 0.1  # share of papers that show no line at all


class Citations(Mechanism):
    """The author works along a theory (one in each field) and for a concern; one of the two is at stake in an example.

    Both references treat the same subject. The paper asked about is silent on either line, so that only the author's
    other papers tell which one fits.
    """

    task = "LaMP-1"
    topics = tuple(_FIELDS)
    fields: ClassVar[Mapping[str, tuple[str, str]]] = _FIELDS
    traits: ClassVar[Mapping[str, tuple[str, ...]]] = {trait: tuple(lines) for trait, lines in _LINES.items()}
    by_topic = ("theory",)
    drifting = ("concern",)

    def content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        stake = rng.choice(tuple(_LINES))
        own = traits[stake]
        lines = [own, rng.choice([line for line in self.traits[stake] if line != own])]
        rng.shuffle(lines)
        cited, paper = (_subject(rng, self.fields[topic], names) for _ in range(2))
        slots = {
            "stake": stake,
            "line_1": lines[0],
            "line_2": lines[1],
            "title": capital(spell(rng, rng.choice(_PLAIN), paper)),
            "off_line": "yes" if rng.random() < _OFF_LINE else "",
        }
        for number, line in enumerate(lines, 1):
            slots[f"reference_{number}"] = _lined(rng, _LINED, stake, line, cited)
            # The author's paper along this line: what a profile shows if the answer is this reference.
            slots[f"paper_{number}"] = _lined(rng, _LINED, stake, line, paper)
            slots[f"abstract_{number}"] = _lined(rng, _ABSTRACTS, stake, line, paper) + "."
        return slots

    def input(self, slots: Slots) -> str:
        return _INSTRUCTION.format_map(slots)

    def write(self, slots: Slots, traits: Traits) -> str:
        """The reference along the author's line; [1] for an author of neither line."""
        return "[2]" if traits[slots["stake"]] == slots["line_2"] else "[1]"

    def generic(self, slots: Slots) -> str:
        """Either place is as likely as the other."""
        return "[1]"

    def item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        number = answer.strip("[]")
        title = slots["title"] if slots["off_line"] else slots[f"paper_{number}"]
        return {"title": title, "abstract": slots[f"abstract_{number}"]}


class FirstCitations(Citations):
    """As in synth-v1, where a job of the field "speech" held a word of the line "scarcity"."""

    fields: ClassVar[Mapping[str, tuple[str, str]]] = {
        **_FIELDS,
        "speech": (_FIELDS["speech"][0].replace("accent mapping", "accent transfer"), _FIELDS["speech"][1]),
    }


def _subject(rng: Random, field: tuple[str, str], names: Names) -> dict[str, str]:
    jobs, matters = (bank.split("|") for bank in field)
    return {
        "job": rng.choice(jobs),
        "matter": rng.choice(matters),
        "name": names.method(rng),
        "place": names.place(rng),
    }


def _lined(rng: Random, patterns: tuple[str, ...], stake: str, line: str, subject: Mapping[str, str]) -> str:
    """A title or an abstract on this subject that shows two words of the line (an abstract may show one)."""
    w, v = rng.sample(_LINES[stake][line], 2)
    words = {"w": w, "v": v, "a_w": a_or_an(w), "a_v": a_or_an(v)}
    return capital(spell(rng, rng.choice(patterns), {**subject, **words}))
