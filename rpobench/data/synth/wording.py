"""Small grammars of the synthetic world: a pattern with alternatives becomes one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


def spell(rng: Random, pattern: str, slots: Mapping[str, str]) -> str:
    """One reading of `pattern`: `[a|b|]` is one of its alternatives (they nest), `{slot}` the slot's text.

    Runs of spaces left by empty alternatives become one.
    """
    while found := _ALTERNATIVES.search(pattern):
        pattern = pattern[: found.start()] + rng.choice(found[1].split("|")) + pattern[found.end() :]
    return " ".join(pattern.format_map(slots).split()).replace(" ,", ",")


def capital(text: str) -> str:
    """The text with its first letter in upper case; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def phrase(*parts: str) -> str:
    """The parts that say something, as one capitalised line."""
    return capital(" ".join(part for part in parts if part))


def a_or_an(word: str) -> str:
    """The word with its indefinite article, by its first letter."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


def sentences(text: str) -> str:
    """The text with a capital letter at the start of every sentence."""
    return ". ".join(capital(sentence) for sentence in text.split(". "))
