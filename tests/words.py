"""A tokenizer of words, for tests that count and cut evidence and fetch nothing."""

from __future__ import annotations

from collections.abc import Sequence


class Words:
    """A token is a word: each new one gets the next number."""

    identity = "words@1"

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return [self._numbers.setdefault(word, len(self._numbers)) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        words = list(self._numbers)
        return " ".join(words[number] for number in ids)
