"""Log-probabilities of completions alone, for both stages.

trl scores every token of prompt and completion where it has no Triton kernel, and collects figures that nobody reads:
on a CPU that costs more than half of a training step. Only the completion's tokens bear a loss, so only they are
scored here.
"""

from __future__ import annotations

from typing import Any

import torch


def completion_logits(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, count: int) -> torch.Tensor:
    """The logits that foretell the last `count` tokens of every row: (rows, count, vocabulary), float32."""
    out = model(input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=count + 1, use_cache=False)
    logits: torch.Tensor = out.logits[:, :-1].float()
    return logits


def log_probs_and_entropies(
    logits: torch.Tensor, tokens: torch.Tensor, *, entropies: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probability of each token, and the entropy in nats it was drawn from (for logs: it bears no gradient).

    `logits` is (rows, count, vocabulary), `tokens` and what is returned (rows, count).
    """
    scores = torch.log_softmax(logits, dim=-1)
    chosen = scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    if not entropies:
        return chosen, None
    with torch.no_grad():
        return chosen, -(scores.exp() * scores).sum(-1)
