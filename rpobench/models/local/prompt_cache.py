"""What a model has read of a batch of prompts: its keys and values, with room for the tokens that come after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from rpobench.models.local.batching import pad_left

PART_TOKENS = 1024  # that a CPU reads at a time: more of them would leave its caches


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is read untyped
    """Keys and values of one layer in storage that has room: a further token is written, and nothing is copied."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, length: int) -> None:
        """Wrap the storage.

        Args:
            keys: (rows, heads, room, dimensions), of which the first `length` tokens are filled.
            values: The same.
            length: How many tokens are there, padding included.
        """
        super().__init__()

        self._key_storage, self._value_storage = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._show(length)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *arguments: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]

        self._key_storage[:, :, start:end] = key_states
        self._value_storage[:, :, start:end] = value_states
        self._show(end)
        return self.keys, self.values

    def crop(self, tokens_to_remove: int) -> None:
        self._show(self.get_seq_length() - abs(tokens_to_remove))

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        length = self.get_seq_length()

        self._key_storage, self._value_storage = self._key_storage[indices], self._value_storage[indices]
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys, self.values = self._key_storage[:, :, :length], self._value_storage[:, :, :length]


@dataclass
class PromptCache:
    """A batch of prompts that a model has read.

    Attributes:
        cache: The keys and values.
        mask: 1 for a token of a prompt and 0 for padding, (rows, longest prompt).
        logits: What may come next, (rows, vocabulary).
    """

    cache: Any
    mask: torch.Tensor
    logits: torch.Tensor

    @property
    def positions(self) -> torch.Tensor:
        """The position of the token after each prompt, (rows, 1)."""
        return self.mask.sum(1, keepdim=True)

    def select_rows(self, rows: torch.Tensor) -> PromptCache:
        """Keep these rows only, in this order; one may come more than once."""
        self.cache.batch_select_indices(rows)

        return PromptCache(self.cache, self.mask[rows], self.logits[rows])


def reads_in_parts(model: Any) -> bool:
    """Tell whether a model's prompts are read in parts, into a cache with room.

    That pays on a CPU. It needs attention to all that came before: a sliding window or a recurrent state has a cache of
    its own kind. In bfloat16 the size of a batch decides near-ties, so batches stay as they were.

    Args:
        model: A causal transformers model.

    Returns:
        True where `read_prompts` does so.
    """
    return model.dtype == torch.float32 and has_plain_cache(model)


def has_plain_cache(model: Any) -> bool:
    """Tell whether a model is on a CPU and each of its layers keeps the keys and values of all tokens."""
    layers = DynamicCache(config=model.config).layers

    return model.device.type == "cpu" and bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def read_prompts(
    model: Any, prompts: Sequence[Sequence[int]], filler: int, *, room: int, in_parts: bool
) -> PromptCache:
    """Let a model read prompts.

    Args:
        model: A causal transformers model.
        prompts: Token ids of the prompts of one batch.
        filler: The token that shorter prompts are padded with.
        room: For how many tokens after a prompt there must be room.
        in_parts: Whether it reads in parts, which `has_plain_cache` must allow; equal prompts are then read once.

    Returns:
        What was read, a row a prompt.
    """
    if not in_parts:
        return _read_at_once(model, prompts, filler)

    row_by_prompt = {prompt: row for row, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    prompt_cache = _read_in_parts(model, list(row_by_prompt), filler, room)
    if len(row_by_prompt) == len(prompts):
        return prompt_cache

    return prompt_cache.select_rows(torch.tensor([row_by_prompt[tuple(prompt)] for prompt in prompts]))


def split_rows(rows: Sequence[Sequence[int]]) -> Iterator[slice]:
    """Split a batch into parts that a CPU reads fast.

    Args:
        rows: Token ids of each row.

    Yields:
        Slices of rows that together cover the batch in order. Padded, a part has at most `PART_TOKENS` tokens, or one
        row.
    """
    start, longest = 0, 0
    for index, row in enumerate(rows):
        longest = max(longest, len(row))
        if index > start and (index + 1 - start) * longest > PART_TOKENS:
            yield slice(start, index)
            start, longest = index, len(row)

    yield slice(start, len(rows))


def pad_with_positions(
    model: Any, rows: Sequence[Sequence[int]], filler: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pad rows for a model.

    Args:
        model: The model.
        rows: Token ids of each row.
        filler: The token to pad with.

    Returns:
        Token ids, attention mask and positions on the model's device, each of shape (rows, longest row).
    """
    ids, mask = (tensor.to(model.device) for tensor in pad_left(rows, filler))

    return ids, mask, (mask.cumsum(-1) - 1).clamp(min=0)


def _read_at_once(model: Any, prompts: Sequence[Sequence[int]], filler: int) -> PromptCache:
    ids, mask, positions = pad_with_positions(model, prompts, filler)
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)

    cache = output.past_key_values
    cache.activate_past_recording()  # a sliding window would forget what it slides past
    return PromptCache(cache, mask, output.logits[:, -1])


def _read_in_parts(model: Any, prompts: Sequence[Sequence[int]], filler: int, room: int) -> PromptCache:
    longest = max(map(len, prompts))
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    storages: list[tuple[torch.Tensor, torch.Tensor]] = []
    logits = []

    for part in split_rows(prompts):
        ids, part_mask, positions = pad_with_positions(model, prompts[part], filler)
        output = model(
            input_ids=ids, attention_mask=part_mask, position_ids=positions, use_cache=True, logits_to_keep=1
        )
        logits.append(output.logits[:, -1])

        columns = slice(longest - ids.shape[1], longest)
        mask[part, columns] = part_mask
        layers = output.past_key_values.layers
        storages = storages or [_make_storage(layer, len(prompts), longest + room) for layer in layers]
        for layer, (keys, values) in zip(layers, storages, strict=True):
            keys[part, :, columns], values[part, :, columns] = layer.keys, layer.values

    roomy_layers = [RoomyLayer(keys, values, longest) for keys, values in storages]
    return PromptCache(Cache(layers=roomy_layers), mask, torch.cat(logits))


def _make_storage(layer: Any, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Room for the keys and values of so many rows and tokens. Zeros: padding is masked, but must be a number."""
    _, key_heads, _, key_size = layer.keys.shape
    _, value_heads, _, value_size = layer.values.shape

    keys = layer.keys.new_zeros(rows, key_heads, length, key_size)
    return keys, layer.values.new_zeros(rows, value_heads, length, value_size)
