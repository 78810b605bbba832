"""Log-probabilities of completions alone, for both stages.

Where trl has no Triton kernel it scores every token of prompt and completion, and collects figures that nobody reads.
On a CPU that costs more than half of a training step. Only the completion's tokens bear a loss, so only they are
scored here.
"""

from __future__ import annotations

from typing import Any

import torch

NO_LOSS = -100  # the label of a token that bears no loss, in torch, transformers and trl alike


def completion_logits(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, count: int) -> torch.Tensor:
    """Compute the logits that predict the last tokens of every row.

    Args:
        model: A causal language model.
        input_ids: Prompt and completion, (rows, length).
        attention_mask: 1 for a token and 0 for padding, (rows, length).
        count: How many tokens at the end of a row are predicted.

    Returns:
        The logits, (rows, count, vocabulary), in float32.
    """
    outputs = model(input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=count + 1, use_cache=False)

    logits: torch.Tensor = outputs.logits[:, :-1].float()
    return logits


def log_probs_and_entropies(
    logits: torch.Tensor, tokens: torch.Tensor, *, entropies: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Compute the log-probability of each token and the entropy of the distribution it was drawn from.

    Args:
        logits: (rows, count, vocabulary).
        tokens: The tokens that were drawn, (rows, count).
        entropies: Whether entropies are wanted.

    Returns:
        Log-probabilities, (rows, count), and entropies in nats, (rows, count), or None. Entropies are for logs: they
        bear no gradient.
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    token_log_probs = log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    if not entropies:
        return token_log_probs, None

    with torch.no_grad():
        return token_log_probs, -(log_probs.exp() * log_probs).sum(-1)
