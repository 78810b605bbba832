"""Sampling whose outcome hangs on the seed and the prompt alone, never on the other rows of a batch."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence

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


def decoding_processors(decoding: Decoding, seeds: Sequence[int]) -> LogitsProcessorList:
    """What turns greedy decoding into this decoding.

    Args:
        decoding: Temperature and top-p.
        seeds: One seed for each row of the batch.

    Returns:
        Processors of logits in the order of their work; empty at temperature 0.
    """
    if decoding.temperature == 0:
        return LogitsProcessorList()

    processors = [TemperatureLogitsWarper(float(decoding.temperature))]
    if decoding.top_p < 1:
        processors.append(TopPLogitsWarper(decoding.top_p))
    return LogitsProcessorList([*processors, GumbelNoise(seeds)])
