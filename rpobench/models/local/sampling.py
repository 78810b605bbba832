"""Sampling whose outcome hangs on the seed and the prompt alone, never on the other rows of a batch."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from rpobench.types import Decoding


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise from one random stream a row: the greedy choice after it is a sample from the softmax.

    The Gumbel-max trick (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030, section 2).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        vocabulary = scores.shape[1]
        rows = [-torch.empty(vocabulary).exponential_(generator=stream).log() for stream in self.streams]
        return scores.float() + torch.stack(rows).to(scores.device)


def row_seeds(prompts: Sequence[Sequence[int]], seed: int | None) -> list[int]:
    """A seed for each prompt from the seed, the prompt and how often the same prompt came before it.

    Asking one prompt n times therefore gives n samples, the same ones in every call.

    Args:
        prompts: Token ids of each prompt.
        seed: The seed of the decoding; None gives fresh seeds in every call.

    Returns:
        One seed a prompt, of 56 bits.
    """
    base = secrets.token_hex(8) if seed is None else str(seed)

    repetitions: Counter[tuple[int, ...]] = Counter()
    seeds = []
    for prompt in map(tuple, prompts):
        digest = hashlib.sha256(f"{base} {repetitions[prompt]} {prompt}".encode()).digest()
        seeds.append(int.from_bytes(digest[:7], "big"))
        repetitions[prompt] += 1

    return seeds


class TokenChoice(Protocol):
    """How the next token of each row of a batch is chosen.

    Attributes:
        max_new_tokens: How many tokens are chosen at most.
        needs_all_rows: Whether rows that have ended must stay in the batch, because the choices hang on each other.
    """

    max_new_tokens: int
    needs_all_rows: bool

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Choose a token from each row of (rows, vocabulary)."""

    def select_rows(self, rows: Sequence[int]) -> None:
        """Keep these rows of the batch only."""


class SeededChoice:
    """Greedy tokens, or samples from one random stream a row.

    Attributes:
        processors: What turns greedy decoding into sampling, in the order of its work; empty at temperature 0.
    """

    needs_all_rows = False

    def __init__(self, decoding: Decoding, seeds: Sequence[int]) -> None:
        """Prepare the random streams.

        Args:
            decoding: How text is sampled.
            seeds: One seed for each row of the batch; not used at temperature 0.
        """
        self.max_new_tokens = decoding.max_new_tokens
        self.processors = LogitsProcessorList()
        self._noise = GumbelNoise(seeds)

        if decoding.temperature > 0:
            self.processors.append(TemperatureLogitsWarper(float(decoding.temperature)))
            if decoding.top_p < 1:
                self.processors.append(TopPLogitsWarper(decoding.top_p))
            self.processors.append(self._noise)

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        no_ids = torch.empty(len(logits), 0, dtype=torch.long)

        return self.processors(no_ids, logits).argmax(-1)

    def select_rows(self, rows: Sequence[int]) -> None:
        self._noise.streams = [self._noise.streams[row] for row in rows]


class GlobalChoice:
    """Samples from torch's own random stream, in the order in which transformers' `generate` takes them from it."""

    needs_all_rows = True

    def __init__(self, max_new_tokens: int, temperature: float) -> None:
        """Set how tokens are sampled.

        Args:
            max_new_tokens: How many tokens are chosen at most.
            temperature: Above 0.
        """
        self.max_new_tokens = max_new_tokens
        self._temperature = temperature

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        probabilities = (logits.float() / self._temperature).softmax(-1)

        return torch.multinomial(probabilities, num_samples=1).squeeze(1)

    def select_rows(self, rows: Sequence[int]) -> None:
        raise NotImplementedError("one stream serves all rows, so none may leave")
