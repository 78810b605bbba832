"""Small grammars of the synthetic world: a pattern with alternatives becomes one sentence, a list one word bank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")


def spell(rng: Random, pattern: str, slots: Mapping[str, str]) -> str:
    """Write one reading of a pattern.

    Args:
        rng: Chooses the alternatives.
        pattern: `[a|b|]` is one of its alternatives (they nest), `{slot}` is the slot's text.
        slots: The texts by slot.

    Returns:
        The text. Runs of spaces left by empty alternatives become one space.
    """
    while alternatives := _ALTERNATIVES.search(pattern):
        choice = rng.choice(alternatives[1].split("|"))
        pattern = pattern[: alternatives.start()] + choice + pattern[alternatives.end() :]

    return " ".join(pattern.format_map(slots).split()).replace(" ,", ",")


def capital(text: str) -> str:
    """Return the text with its first letter in upper case; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def phrase(*parts: str) -> str:
    """Join the parts that are not empty as one capitalised line."""
    return capital(" ".join(part for part in parts if part))


def a_or_an(word: str) -> str:
    """Return the word with its indefinite article, by its first letter."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


def sentences(text: str) -> str:
    """Return the text with a capital letter at the start of every sentence."""
    return ". ".join(capital(sentence) for sentence in text.split(". "))


def split_bank(words: str) -> tuple[str, ...]:
    """Split a comma-separated word bank."""
    return tuple(word.strip() for word in words.split(","))
