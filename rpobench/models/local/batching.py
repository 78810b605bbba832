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
        """Rows grouped by similar length, longest first, so that memory runs out at the start or never.

        Args:
            lengths: The length of each row in tokens.

        Returns:
            The row indices of each batch.
        """
        groups: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
            if groups and self.holds(len(groups[-1]) + 1, lengths[groups[-1][0]]):
                groups[-1].append(index)
            else:
                groups.append([index])

        return groups

    def holds(self, rows: int, longest: int) -> bool:
        """Whether that many rows, the longest of that many tokens, make one batch."""
        return rows <= self.rows and rows * longest <= self.tokens

    def run(self, lengths: Sequence[int], work: Callable[[list[int]], Sequence[T]]) -> list[T]:
        """Work through all rows in batches.

        After an out-of-memory error the budget is halved for good and what is left is batched anew.

        Args:
            lengths: The length of each row in tokens.
            work: Gets the row indices of a batch and returns a result for each, in order.

        Returns:
            The result of each row, in the order of `lengths`.

        Raises:
            RpobenchError: One row alone does not fit into memory.
        """
        results: dict[int, T] = {}
        waiting = self.batches(lengths)
        while waiting:
            batch = waiting.pop(0)
            try:
                batch_results = work(batch)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                self._shrink(batch, lengths, error)

                rest = sorted(index for group in [batch, *waiting] for index in group)
                groups = self.batches([lengths[index] for index in rest])
                waiting = [[rest[position] for position in group] for group in groups]
                continue

            results.update(zip(batch, batch_results, strict=True))

        return [results[index] for index in range(len(lengths))]

    def _shrink(self, batch: Sequence[int], lengths: Sequence[int], error: RuntimeError) -> None:
        """Halve the budget after a batch that memory did not hold."""
        longest = lengths[batch[0]]
        if len(batch) == 1:
            raise RpobenchError(
                f"out of memory with one prompt of {longest} tokens; "
                "lower max_prompt_tokens or take a smaller model or dtype"
            ) from error

        self.tokens = len(batch) * longest // 2


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class for it; the CPU's allocator only says so in words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def pad_left(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of token ids as one batch, shorter ones padded at the start.

    Args:
        rows: Token ids of each row.
        filler: The token to pad with.

    Returns:
        Token ids and attention mask, both of shape (rows, longest row); the filler is masked.
    """
    import torch

    longest = max(map(len, rows))

    ids = torch.tensor([[filler] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask
