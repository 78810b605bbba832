"""Makes entity names from syllables: thousands of each kind, and no name occurs in two splits."""

from __future__ import annotations

import zlib
from random import Random

SPLITS = ("train", "dev", "test")

_ONSETS = (
    *("b", "br", "c", "ch", "d", "dr", "f", "fr", "g", "gr", "h", "j", "k", "kl"),
    *("l", "m", "n", "p", "pl", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "z"),
)
_VOWELS = ("a", "e", "i", "o", "u")
_LINKS = ("b", "d", "g", "k", "l", "m", "n", "r", "s", "t", "v", "ld", "nd", "rt", "st")
_ENDINGS = {
    "given": ("a", "ia", "o", "en", "ine", "is", "el", "an", "ara", "io"),
    "surname": ("er", "man", "ov", "ini", "ez", "sen", "ard", "ley", "ton", "ski"),
    "place": ("ville", "ford", "bury", "stad", "mouth", "burg", "holm", "field", "ham", "dale"),
    "org": ("ex", "corp", "tech", "ora", "ium", "ent", "on", "ica", "ado", "line"),
    "product": ("ix", "ette", "o", "ero", "ax", "ino", "ly", "eon", "ura", "ite"),
    "project": ("is", "us", "une", "ora", "ion", "ax", "ea", "orn", "ark", "ius"),
    "film": ("a", "or", "ane", "el", "yra", "oth", "ia", "ess", "um", "ander"),
    "method": ("net", "former", "rank", "flow", "map", "fit", "gram", "graph", "mix", "prop"),
}


class Names:
    """Draws the names of one split. A made-up word belongs to exactly one split, by its checksum.

    Every method takes the random stream and returns ASCII letters (with a space in `person`), capitalised.
    """

    def __init__(self, split: str) -> None:
        self._split_index = SPLITS.index(split)

    def given_name(self, rng: Random) -> str:
        return self._word(rng, "given")

    def surname(self, rng: Random) -> str:
        return self._word(rng, "surname")

    def person(self, rng: Random) -> str:
        """A given name and a surname."""
        return f"{self.given_name(rng)} {self.surname(rng)}"

    def place(self, rng: Random) -> str:
        return self._word(rng, "place")

    def org(self, rng: Random) -> str:
        return self._word(rng, "org")

    def product(self, rng: Random) -> str:
        return self._word(rng, "product")

    def project(self, rng: Random) -> str:
        return self._word(rng, "project")

    def film(self, rng: Random) -> str:
        return self._word(rng, "film")

    def method(self, rng: Random) -> str:
        """The name of a scholarly method, such as a model."""
        return self._word(rng, "method")

    def _word(self, rng: Random, kind: str) -> str:
        while True:
            syllables = (rng.choice(_ONSETS), rng.choice(_VOWELS), rng.choice(_LINKS), rng.choice(_ENDINGS[kind]))
            word = "".join(syllables).capitalize()

            if zlib.crc32(word.encode()) % len(SPLITS) == self._split_index:
                return word
