"""What a server's reply means: an answer, no answer to this prompt, a rate limit, or a fault that ends the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rpobench.models.completions import read_words
from rpobench.models.protocol import PromptTooLong
from rpobench.models.served.options import KEY, MOST_TOKENS, one_line, without_key
from rpobench.models.served.reply_faults import (
    EMPTY,
    EMPTY_TRIES,
    PASSING,
    find_choice,
    is_refused,
    is_truncated,
    read_text,
)
from rpobench.types import Chat, Completion, RpobenchError, Usage

if TYPE_CHECKING:
    from httpx2 import Request
    from openai import APIStatusError

REFUSED = "refused by the server's content filter"
FILTER_CODES = ("content_filter", "content_policy_violation", "invalid_prompt")
QUOTA_CODES = ("insufficient_quota", "insufficient_balance", "billing_hard_limit_reached")
REFUSABLE = (400, 403, 413, 422, 451)  # statuses with which servers refuse a single prompt, each in its own words

# Prompts beyond the context, in the words of OpenAI, vLLM, SGLang, llama.cpp, TGI, Groq, Qwen, Mistral, Anthropic,
# Gemini, xAI, Moonshot and Bedrock.
TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size|limit)|context_length"
    r"|(prompt|input|message|request)s?\b.{0,40}\btoo (long|large|many tokens)|too many (input )?tokens"
    r"|exceed.{0,60}(context|token|max length)|(token|prompt|input).{0,60}exceed"
    r"|inputs?`?\s+(tokens|must have less than)|range of input length|reduce the length of (the|your) (message|prompt)"
    r"|(maximum|max) (prompt|input) length|longer than the (model|context)|too large for model with",
    re.I | re.S,
)
# A single prompt beyond what a minute allows, which comes with the status of a rate limit: waiting does not mend it.
TOO_LONG_FOR_LIMIT = re.compile(r"request too large", re.I)


@dataclass(frozen=True)
class Reply:
    """What came of a request.

    Attributes:
        completion: The answer, or why there is none.
        complaint: Where the server may refuse every prompt alike, what to tell the user then; None where the failure,
            if any, is certainly this prompt's alone.
        rate_limit: The server's words where it wants to be asked later.
        delay: Seconds after which it wants to be asked; None where it names no time.
    """

    completion: Completion
    complaint: str | None = None
    rate_limit: str | None = None
    delay: float | None = None


def read_reply(reply: dict[str, Any], seconds: float, label: str) -> Reply:
    """Read text and usage of a reply.

    Args:
        reply: The JSON of a chat completion that `CheckedClient` let through.
        seconds: How long the request took.
        label: Model and server, for errors.

    Returns:
        The answer. Thinking counts in its usage and is no part of it. Token counts of a server that sends none, or
        nonsense, are 0.
    """
    usage = _read_usage(reply.get("usage"), seconds)
    choice = find_choice(reply)
    if choice is None or is_refused(reply):
        return Reply(Completion("", usage, REFUSED, permanent=True))

    text, truncated = without_key(read_text(choice)), is_truncated(choice)
    if truncated and not text.strip():
        tokens = usage.completion_tokens or "few"
        failure = f"its {tokens} tokens went into reasoning and left none for an answer; give room with --think-tokens"
        completion = Completion("", usage, failure, permanent=True, truncated=True)
    else:
        completion = read_words(text, usage, truncated=truncated)

    complaint = f"{label}: gives no answer ({completion.failure})" if completion.failure else None
    return Reply(completion, complaint)


def _read_usage(counts: object, seconds: float) -> Usage:
    if not isinstance(counts, dict):
        counts = {}
    read, written = _token_count(counts.get("prompt_tokens")), _token_count(counts.get("completion_tokens"))

    # Some servers count thinking in the total alone.
    total = _token_count(counts.get("total_tokens"))
    return Usage(1, read, max(written, total - read) if written else written, seconds)


def _token_count(count: object) -> int:
    return count if type(count) is int and 0 < count < MOST_TOKENS else 0


def read_refusal(error: APIStatusError, usage: Usage, label: str, chat: Chat, key_name: str = KEY) -> Reply:
    """Say why a request has no answer.

    Args:
        error: What the official client raised after its retries.
        usage: What the request cost.
        label: Model and server, for errors.
        chat: The prompt of the request.
        key_name: The variable that holds the user's key.

    Returns:
        The reason, where other requests may still be answered.

    Raises:
        RpobenchError: The server would refuse every request, and only the user can help.
        PromptTooLong: The chat exceeds the model's context.
    """
    words, status = quote(error), error.status_code

    if error.code in FILTER_CODES or error.type in FILTER_CODES:
        return Reply(Completion("", usage, f"{REFUSED} ({words})", permanent=True))
    if status == 401:
        raise RpobenchError(f"{label}: refuses the key ({words}); set {key_name} to one that it knows")
    if status == 404:
        raise RpobenchError(f"{label}: knows no such model or address ({words}); check the name and --base-url")
    if status == 402 or error.code in QUOTA_CODES:
        raise RpobenchError(f"{label}: refuses the request ({words}); what was answered is kept")
    is_too_long = (status in REFUSABLE and TOO_LONG.search(words)) or TOO_LONG_FOR_LIMIT.search(words)
    if error.code == "context_length_exceeded" or is_too_long:
        raise PromptTooLong(f"{label}: the prompt exceeds the model's context ({words})", chat)

    if status in REFUSABLE:
        complaint = f"{label}: refuses the request ({words}); what was answered is kept"
        if status == 403:
            complaint = f"{label}: refuses the key or the request ({words}); set {key_name} to a key that may ask"
        return Reply(Completion("", usage, f"refused by the server ({words})", permanent=True), complaint)

    if error.code == EMPTY:
        failure = f"{words}, asked {EMPTY_TRIES} times"
        return Reply(Completion("", usage, failure, permanent=True), f"{label}: gives no answer ({failure})")
    return _read_fault(error, usage, label, words)


def _read_fault(error: APIStatusError, usage: Usage, label: str, words: str) -> Reply:
    """The reply of a server that may answer the same request later."""
    status, headers = error.status_code, error.response.headers
    if status < 500 and status not in PASSING:
        raise RpobenchError(f"{label}: refuses the request ({words}); what was answered is kept")

    retry_after = headers.get("retry-after")
    if retry_after:
        words += f", with Retry-After: {one_line(retry_after)}"
    failure = words + attempts(error.request)

    if status != 429:
        return Reply(Completion("", usage, failure))
    delay = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return Reply(Completion("", usage, failure), rate_limit=failure, delay=delay)


def quote(error: APIStatusError) -> str:
    """The server's words as part of an error; where they are not in OpenAI's form, the client leaves them out."""
    return one_line(error.message if " - " in error.message else f"{error.message} - {error.body}")


def attempts(request: Request) -> str:
    """How often a request was made, as the end of a reason.

    The official client numbers its retries; there are none where it would wait for minutes.
    """
    times = int(request.headers["x-stainless-retry-count"]) + 1
    return f", asked {times} time{'s' if times > 1 else ''}"
