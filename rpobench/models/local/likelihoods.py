"""Log-probabilities of answers after prompts, one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from rpobench.models.local.prompt_cache import PromptCache

# Scores a batch: (model, prompts, answers, filler) to scores of shape (prompts, answers).
ScoreBatch = Callable[[Any, Sequence[list[int]], Sequence[list[int]], int], list[list[float]]]


def choose_scorer(model: Any) -> ScoreBatch:
    """The quickest way to score several answers after each prompt that the model allows.

    What was read of a prompt can be gone back to, unless it is a recurrent state (Mamba and its like).

    Args:
        model: A causal transformers model.

    Returns:
        `score_answers`, or `score_answers_apart` for a recurrent model.
    """
    from transformers import DynamicCache

    return score_answers if DynamicCache(config=model.config).is_croppable else score_answers_apart


def score_answers(
    model: Any, prompts: Sequence[list[int]], answers: Sequence[list[int]], filler: int
) -> list[list[float]]:
    """Each answer's score after each prompt; each prompt is read once, and one key-value cache serves every answer.

    Args:
        model: A causal transformers model.
        prompts: Token ids of the prompts of one batch.
        answers: Token ids of the answers, the same for all prompts.
        filler: The token that shorter prompts are padded with.

    Returns:
        Mean log-probability a token, of shape (prompts, answers).
    """
    import torch

    from rpobench.models.local.prompt_cache import read_prompts, reads_in_parts

    columns = []
    with torch.inference_mode():
        room = max(map(len, answers)) - 1
        batch = read_prompts(model, prompts, filler, room=room, in_parts=reads_in_parts(model))
        first_log_probs = batch.logits[:, None].float().log_softmax(-1)

        for answer in answers:
            answer_rows = torch.tensor([answer] * len(prompts), device=model.device)
            log_probs = first_log_probs
            if len(answer) > 1:
                log_probs = torch.cat([first_log_probs, _read_on(model, batch, answer_rows[:, :-1])], 1)
                batch.cache.crop(1 - len(answer))  # back to the end of the prompt
            columns.append(log_probs.gather(2, answer_rows[..., None]).squeeze(-1).mean(1))

    scores: list[list[float]] = torch.stack(columns, 1).tolist()
    return scores


def _read_on(model: Any, batch: PromptCache, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the next token after each of these tokens, which follow the prompts in the cache."""
    import torch

    output = model(
        ids,
        attention_mask=torch.cat([batch.mask, torch.ones_like(ids)], 1),
        position_ids=batch.positions + torch.arange(ids.shape[1], device=model.device),
        past_key_values=batch.cache,
    )
    log_probs: torch.Tensor = output.logits.float().log_softmax(-1)
    return log_probs


def score_answers_apart(
    model: Any, prompts: Sequence[list[int]], answers: Sequence[list[int]], filler: int
) -> list[list[float]]:
    """As `score_answers`, each prompt read anew for every answer."""
    columns = []
    for answer in answers:
        rows = [prompt + answer for prompt in prompts]
        columns.append(score_rows(model, rows, [answer] * len(prompts), filler))

    return [list(row) for row in zip(*columns, strict=True)]


def score_rows(model: Any, rows: Sequence[list[int]], answers: Sequence[list[int]], filler: int) -> list[float]:
    """The score of one answer at the end of each row.

    Args:
        model: A causal transformers model.
        rows: Token ids of prompt and answer together, of one batch.
        answers: Token ids of the answer that ends each row.
        filler: The token that shorter rows are padded with.

    Returns:
        Mean log-probability a token of each answer, in order.
    """
    from rpobench.models.local.prompt_cache import reads_in_parts, split_rows

    parts = split_rows(rows) if reads_in_parts(model) else [slice(0, len(rows))]
    scores: list[float] = []
    for part in parts:
        scores += _score_part(model, rows[part], answers[part], filler)
    return scores


def _score_part(model: Any, rows: Sequence[list[int]], answers: Sequence[list[int]], filler: int) -> list[float]:
    import torch

    from rpobench.models.local.prompt_cache import pad_with_positions

    ids, mask, positions = pad_with_positions(model, rows, filler)
    longest = max(map(len, answers))
    with torch.inference_mode():
        output = model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest + 1)
        log_probs = output.logits[:, :-1].float().log_softmax(-1)
        token_scores = log_probs.gather(2, ids[:, -longest:, None]).squeeze(-1)

    return [float(row[-len(answer) :].mean()) for row, answer in zip(token_scores, answers, strict=True)]
