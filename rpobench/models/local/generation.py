"""New tokens after prompts, one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from rpobench.models.local.batching import pad_left
from rpobench.models.local.sampling import decoding_processors
from rpobench.types import Decoding


def generate_ids(
    model: Any,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    seeds: Sequence[int],
    *,
    stop_tokens: Sequence[int],
    filler: int,
) -> list[list[int]]:
    """The model continues each prompt of one batch.

    Args:
        model: A causal transformers model.
        prompts: Token ids of the prompts.
        decoding: How text is sampled.
        seeds: A seed for each prompt; not used where decoding is greedy.
        stop_tokens: The tokens that end an answer.
        filler: The token that shorter rows are padded with.

    Returns:
        The new tokens of each prompt, in order, with the stop token that ended them.
    """
    ids, mask = pad_left(prompts, filler)
    config = GenerationConfig(
        max_new_tokens=decoding.max_new_tokens, eos_token_id=list(stop_tokens), pad_token_id=filler
    )
    with torch.inference_mode():
        output = model.generate(
            ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=config,
            logits_processor=decoding_processors(decoding, seeds),
        )

    new_ids: list[list[int]] = output[:, ids.shape[1] :].tolist()
    return [_cut_padding(row, stop_tokens) for row in new_ids]


def _cut_padding(ids: list[int], stop_tokens: Sequence[int]) -> list[int]:
    """The tokens up to the first stop token, which belongs to them."""
    for index, token in enumerate(ids):
        if token in stop_tokens:
            return ids[: index + 1]
    return ids
