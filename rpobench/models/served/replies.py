"""What a server's reply means: an answer, a refusal of one request, or a fault that ends the run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rpobench.models.protocol import PromptTooLong
from rpobench.models.served.options import KEY, one_line, without_key
from rpobench.types import Chat, Completion, RpobenchError, Usage

if TYPE_CHECKING:
    from httpx2 import Request
    from openai import APIStatusError

REFUSED = "refused by the server's content filter"
TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size|limit)|too (long|many tokens)|exceed.{0,60}(context|token)", re.I
)
MOST_TOKENS = 1 << 32  # no answer has more; a count beyond is nonsense


def read_completion(reply: dict[str, Any], seconds: float) -> Completion:
    """Text and usage of a reply.

    Args:
        reply: The JSON of a chat completion that `CheckedClient` let through.
        seconds: How long the request took.

    Returns:
        The completion. Token counts of a server that sends none, or nonsense, are 0.
    """
    counts = reply.get("usage")
    if not isinstance(counts, dict):
        counts = {}
    usage = Usage(1, _token_count(counts.get("prompt_tokens")), _token_count(counts.get("completion_tokens")), seconds)

    choice = reply["choices"][0]
    if choice.get("finish_reason") == "content_filter" or choice["message"].get("refusal"):
        return Completion("", usage, REFUSED)
    return Completion(without_key(choice["message"]["content"]), usage)


def _token_count(count: object) -> int:
    return count if type(count) is int and 0 < count < MOST_TOKENS else 0


def explain_refusal(error: APIStatusError, label: str, chat: Chat) -> str:
    """Why a request has no answer.

    Args:
        error: What the official client raised after its retries.
        label: Model and server, for errors.
        chat: The prompt of the request.

    Returns:
        The reason in one line, where other requests may still be answered.

    Raises:
        RpobenchError: The server would refuse every request, or only the user can help.
        PromptTooLong: The chat exceeds the model's context.
    """
    # Where the server's words are not in OpenAI's form, the client leaves them out of its message.
    words = one_line(error.message if " - " in error.message else f"{error.message} - {error.body}")
    status = error.status_code

    if error.code in ("content_filter", "content_policy_violation"):
        return REFUSED
    if status in (401, 403):
        raise RpobenchError(f"{label}: refuses the key ({words}); set {KEY} to one that it knows")
    if status == 404:
        raise RpobenchError(f"{label}: knows no such model or address ({words}); check the name and --base-url")

    is_bad_request = status in (400, 413, 422)
    if error.code == "context_length_exceeded" or (is_bad_request and TOO_LONG.search(words)):
        raise PromptTooLong(f"{label}: the prompt exceeds the model's context ({words})", chat)

    is_permanent = status < 500 and status not in (408, 409, 429)
    if error.code == "insufficient_quota" or is_permanent:
        raise RpobenchError(f"{label}: refuses the request ({words}); what was answered is kept")

    retry_after = error.response.headers.get("retry-after")
    delay = f", with Retry-After: {one_line(retry_after)}" if retry_after else ""
    return words + delay + attempts(error.request)


def attempts(request: Request) -> str:
    """How often a request was made, as the end of a reason.

    The official client numbers its retries; there are none where it would wait for minutes.
    """
    times = int(request.headers["x-stainless-retry-count"]) + 1
    return f", asked {times} time{'s' if times > 1 else ''}"
