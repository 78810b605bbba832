"""What is asked of a served model: the content of each request."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rpobench.models.served.dialect import LENGTH
from rpobench.models.served.options import ServedOptions
from rpobench.types import Chat, Decoding


def write_requests(
    model: str, chats: Sequence[Chat], decoding: Decoding, options: ServedOptions
) -> list[dict[str, Any]]:
    """Write the content of each request.

    Args:
        model: The name that the server knows it by.
        chats: The prompts.
        decoding: How text is sampled. Equal chats that are sampled with a seed get a seed each.
        options: What the user wants otherwise.

    Returns:
        One object a chat, in order, its length as `max_tokens`.
    """
    common: dict[str, Any] = {"model": model}
    temperature = decoding.temperature if options.temperature is None else options.temperature
    if temperature != "default":
        common["temperature"] = temperature
    if decoding.top_p < 1:
        common["top_p"] = decoding.top_p
    common[LENGTH] = (options.max_tokens or decoding.max_new_tokens) + options.think_tokens

    bodies = []
    repetitions: Counter[Chat] = Counter()
    for chat in chats:
        body = {**common, **options.body, "messages": _write_messages(chat, options.system)}
        if decoding.seed is not None and decoding.temperature > 0:
            sha256 = hashlib.sha256(f"{decoding.seed} {repetitions[chat]}".encode()).digest()
            body["seed"] = int.from_bytes(sha256[:4], "big") >> 1
        repetitions[chat] += 1
        bodies.append(body)
    return bodies


def _write_messages(chat: Chat, system: str | None) -> list[dict[str, str]]:
    """The chat as the server takes it; half a surrogate pair, which is no text, becomes a question mark."""
    turns = [(message.role, message.content) for message in chat]
    if system and turns[0][0] != "system":
        turns.insert(0, ("system", system))
    return [{"role": role, "content": text.encode("utf-8", "replace").decode()} for role, text in turns]
