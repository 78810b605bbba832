"""New tokens after prompts, one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from rpobench.models.local.batching import pad_left
from rpobench.models.local.prompt_cache import read_prompts, reads_in_parts
from rpobench.models.local.sampling import SeededChoice, TokenChoice
from rpobench.types import Decoding

SPARE_ROWS = 0.25  # share of a batch that may have ended before its rows are taken out


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
    choice = SeededChoice(decoding, seeds)
    with torch.inference_mode():
        if reads_in_parts(model):
            return continue_prompts(model, prompts, choice, stop_tokens, filler)
        return _generate_by_library(model, prompts, choice, stop_tokens, filler)


def continue_prompts(
    model: Any, prompts: Sequence[Sequence[int]], choice: TokenChoice, stop_tokens: Sequence[int], filler: int
) -> list[list[int]]:
    """Continue prompts token by token, on a model that reads in parts; rows that have ended leave, some at a time.

    Args:
        model: A causal transformers model of which `has_plain_cache` is true.
        prompts: Token ids of the prompts of one batch; equal ones are read once.
        choice: How tokens are chosen.
        stop_tokens: The tokens that end an answer.
        filler: The token that shorter rows are padded with.

    Returns:
        The new tokens of each prompt, in order, with the stop token that ended them.
    """
    new_tokens = choice.max_new_tokens
    batch = read_prompts(model, prompts, filler, room=new_tokens, in_parts=True)
    positions, logits = batch.positions, batch.logits

    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the prompt that each row of the batch continues
    for step in range(new_tokens):
        tokens = choice.choose(logits)
        running = []
        for row, (index, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if not answers[index] or answers[index][-1] not in stop_tokens:
                answers[index].append(token)
                if token not in stop_tokens:
                    running.append(row)
        if not running or step == new_tokens - 1:
            break

        if not choice.needs_all_rows and len(running) <= (1 - SPARE_ROWS) * len(rows):
            kept_rows = torch.tensor(running)
            batch, positions, tokens = batch.select_rows(kept_rows), positions[kept_rows], tokens[kept_rows]
            choice.select_rows(running)
            rows = [rows[row] for row in running]

        mask = torch.cat([batch.mask, torch.ones(len(rows), step + 1, dtype=torch.long)], 1)
        output = model(
            input_ids=tokens[:, None],
            attention_mask=mask,
            position_ids=positions + step,
            past_key_values=batch.cache,
        )
        logits = output.logits[:, -1]

    return answers


def _generate_by_library(
    model: Any, prompts: Sequence[Sequence[int]], choice: SeededChoice, stop_tokens: Sequence[int], filler: int
) -> list[list[int]]:
    ids, mask = pad_left(prompts, filler)
    config = GenerationConfig(max_new_tokens=choice.max_new_tokens, eos_token_id=list(stop_tokens), pad_token_id=filler)
    output = model.generate(
        ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=config,
        logits_processor=choice.processors,
    )

    new_ids: list[list[int]] = output[:, ids.shape[1] :].tolist()
    return [_cut_padding(row, stop_tokens) for row in new_ids]


def _cut_padding(ids: list[int], stop_tokens: Sequence[int]) -> list[int]:
    """The tokens up to the first stop token, which belongs to them."""
    for index, token in enumerate(ids):
        if token in stop_tokens:
            return ids[: index + 1]
    return ids
