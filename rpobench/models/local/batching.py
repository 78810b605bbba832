"""Rows of unequal length in batches of similar length, under a token budget that shrinks when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rpobench.types import RpobenchError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass
class TokenBudget:
    """At most `tokens` tokens and `rows` rows a batch, padding and new tokens included; a longer row goes alone."""

    tokens: int = 16384
    rows: int = 32

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices grouped by similar length, longest first, so that memory runs out at the start or never."""
        groups: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            if groups and self.holds(len(groups[-1]) + 1, lengths[groups[-1][0]]):
                groups[-1].append(index)
            else:
                groups.append([index])
        return groups

    def holds(self, rows: int, longest: int) -> bool:
        """Whether that many rows of that length make one batch."""
        return rows <= self.rows and rows * longest <= self.tokens

    def run(self, lengths: Sequence[int], work: Callable[[list[int]], Sequence[T]]) -> list[T]:
        """`work` over all batches of indices; results in the order of `lengths`.

        After an out-of-memory error the budget is halved for good and what is left is batched anew.

        Raises:
            RpobenchError: one row alone does not fit into memory.
        """
        results: dict[int, T] = {}
        waiting = self.batches(lengths)
        while waiting:
            batch = waiting.pop(0)
            try:
                done = work(batch)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise RpobenchError(
                        f"out of memory with one prompt of {lengths[batch[0]]} tokens; "
                        "lower max_prompt_tokens or take a smaller model or dtype"
                    ) from error
                self.tokens = len(batch) * lengths[batch[0]] // 2
                left = sorted({i for group in [batch, *waiting] for i in group})
                waiting = [[left[i] for i in group] for group in self.batches([lengths[i] for i in left])]
                continue
            results.update(zip(batch, done, strict=True))
        return [results[i] for i in range(len(lengths))]


def _out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class for it; the CPU's allocator only says so in words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def pad_left(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both of shape (rows, longest row); the filler is masked."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[filler] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask
