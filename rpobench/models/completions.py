"""How a model's words become a completion, whatever model wrote them."""

from __future__ import annotations

from rpobench.task.thinking import strip_thinking
from rpobench.types import Completion, Usage

STILL_THINKING = "the limit of tokens was reached while the model was thinking; give it room with --think-tokens"


def read_words(raw: str, usage: Usage, *, truncated: bool = False) -> Completion:
    """Make the completion of what a model wrote: thinking is no part of its text.

    Args:
        raw: All that the model wrote. It begins with an opening mark where the prompt opened the thinking.
        usage: What it cost.
        truncated: Whether the limit of tokens stopped it.

    Returns:
        The completion. Without an answer where the text ended while the model was thinking: asking again would bring
        the same.
    """
    text = strip_thinking(raw)
    if text is None:
        return Completion("", usage, STILL_THINKING, permanent=True, truncated=truncated, raw=raw)

    return Completion(text, usage, truncated=truncated, raw=None if text == raw else raw)
