"""How much work a method gives to local models of its own: tokens by what is done with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenWork:
    """Tokens that a local model has still to work on. They may be fractions, where work was scaled.

    Attributes:
        read: Read as a prompt, or scored.
        written: Written one by one in prediction.
        sampled: Written one by one in training, where an adapter is not merged.
        trained: Read and learned from, in one pass forward and one back.
    """

    read: float = 0.0
    written: float = 0.0
    sampled: float = 0.0
    trained: float = 0.0

    def __add__(self, other: TokenWork) -> TokenWork:
        return TokenWork(
            self.read + other.read,
            self.written + other.written,
            self.sampled + other.sampled,
            self.trained + other.trained,
        )

    def __mul__(self, factor: float) -> TokenWork:
        return TokenWork(self.read * factor, self.written * factor, self.sampled * factor, self.trained * factor)


@dataclass(frozen=True)
class ModelWork:
    """The work of one local model.

    Attributes:
        model: The model's spec, as a knob gives it.
        tokens: What it has to do.
    """

    model: str
    tokens: TokenWork
