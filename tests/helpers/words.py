"""A tokenizer and a sentence encoder of nothing but words, for tests that fetch no model."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np


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


class Hashes:
    """Stands in for the weights of a sentence encoder: a text's vector is drawn by its hash."""

    def encode(self, texts: Sequence[str], *, batch_size: int, show_progress_bar: bool) -> np.ndarray:
        return np.array(
            [np.random.default_rng(int(sha256(t.encode()).hexdigest()[:8], 16)).normal(size=8) for t in texts]
        )
