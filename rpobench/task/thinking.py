"""What a model thinks before it answers is no part of the answer: the one place that takes it out."""

from __future__ import annotations


def strip_thinking(raw: str) -> str | None:
    """Take the thinking out of a model's text.

    Args:
        raw: All that the model wrote.

    Returns:
        The text as it is, where it holds no mark of thinking; else what stands behind the thinking. None where the
        text ends while the model is thinking.
    """
    _, end_tag, answer = raw.rpartition("</think>")
    if end_tag:
        return answer
    return None if "<think>" in raw else raw
