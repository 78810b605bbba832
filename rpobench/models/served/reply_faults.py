"""What is wrong with a reply of status 200: it holds an error, no answer, or nothing that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpobench.models.served.options import one_line

EMPTY = "empty_answer"  # the code of a fault that is an honest answer without words
EMPTY_TRIES = 3  # of a prompt that is answered without words
PASSING = (408, 409, 424, 425, 429, 498, 499)  # statuses below 500 of faults that pass, TGI's and Groq's among them
# Finish reasons that mean a refusal, in the words of several vendors.
REFUSING = re.compile(
    r"filter|safety|prohibit|recitation|block|spii|refus|sensitive|moderat|violat|guardrail|toxic|flag|language$", re.I
)
TRUNCATING = re.compile(r"length|max_?tokens|token_limit|context_window", re.I)
# Finish reasons that mean a fault of the server: what stands there is half an answer.
BROKEN_OFF = re.compile(r"error|insufficient|abort|cancel|time_?out|fail|interrupt|overload|unavailable", re.I)
THOUGHT_PART = re.compile(r"think|thought|reason|summary", re.I)  # kinds of content that are no answer

# What vendors write in place of a status.
STATUS_WORDS = {
    "rate_limit": 429, "resource_exhausted": 429, "too_many_requests": 429, "insufficient_quota": 402,
    "credits": 402, "unauthenticated": 401, "invalid_api_key": 401, "permission": 403, "invalid": 400,
}  # fmt: skip
# The same in an error's own words, where "invalid" may be said of anything.
PLAIN_WORDS = {word: status for word, status in STATUS_WORDS.items() if word not in ("invalid", "permission")}
FLAGGED = re.compile(r"content.{0,20}(filter|polic|risk)|sensitive|moderation|flagged|safety", re.I)

# Where vendors write an error's words and its code, if not in an `error`.
MESSAGE_NAMES = ("message", "msg", "error_msg", "errorMessage", "status_msg", "detail", "Message")
CODE_NAMES = ("code", "error_code", "status_code", "status", "Code")


@dataclass(frozen=True)
class Fault:
    """A reply that is no answer, as the error that stands for it.

    Attributes:
        status: The HTTP status that it is treated like.
        message: The server's words, or what is wrong in a few words.
        code: The code that the error carries; `empty_answer` for an answer without words.
    """

    status: int
    message: str
    code: str | int | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The error in OpenAI's form."""
        return {"error": {"message": self.message, "code": self.code}}


def find_fault(body: bytes) -> Fault | None:
    """Say what is wrong with the body of a chat completion.

    Args:
        body: The decoded body of a reply with a status of success.

    Returns:
        The fault; None where the body holds text, says that it was refused, or that its tokens went into thinking.
    """
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return Fault(502, "an answer that is no JSON")

    error = _find_error(reply)
    if error is not None:
        return _read_error(error)

    choice = find_choice(reply)
    if choice is None:
        if is_refused(reply):
            return None
        return Fault(502, f"an answer without choices ({one_line(json.dumps(reply))[:120]})", EMPTY)

    finish_reason = choice.get("finish_reason")
    if is_refused(reply):
        return None
    if BROKEN_OFF.search(str(finish_reason or "")):
        return Fault(502, f"an answer that broke off (finish_reason {finish_reason})")
    if read_text(choice).strip() or is_truncated(choice):
        return None
    return Fault(502, f"an empty answer (finish_reason {finish_reason})", EMPTY)


def find_choice(reply: Any) -> dict[str, Any] | None:
    """Return the first choice of a reply; None where there is none with a message."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None

    has_message = isinstance(choice, dict) and isinstance(choice.get("message"), dict)
    return choice if has_message else None


def read_text(choice: Mapping[str, Any]) -> str:
    """Return the text of a choice, its parts joined, without thought; empty where it has none."""
    texts: list[str] = []
    contents = [choice["message"].get("content")]
    while contents:
        content = contents.pop()
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            contents += reversed(content)
        elif isinstance(content, dict) and not _is_thought(content):
            contents.append(content.get("text") or content.get("value"))

    return "".join(texts)


def _is_thought(part: Mapping[str, Any]) -> bool:
    return bool(part.get("thought")) or THOUGHT_PART.search(str(part.get("type"))) is not None


def is_refused(reply: Mapping[str, Any]) -> bool:
    """Say whether a reply itself tells that the prompt or the answer was refused."""
    if not isinstance(reply, dict):
        return False

    choice = find_choice(reply)
    if choice is None:
        feedback = reply.get("promptFeedback") or reply.get("prompt_feedback")
        first = (reply.get("choices") or [None])[0] if isinstance(reply.get("choices"), list) else None
        reason = first.get("finish_reason") if isinstance(first, dict) else None
        return bool(feedback) or bool(REFUSING.search(str(reason or "")))

    reason = str(choice.get("finish_reason") or "")
    return bool(choice["message"].get("refusal")) or REFUSING.search(reason) is not None


def is_truncated(choice: Mapping[str, Any]) -> bool:
    """Say whether the limit of tokens ended a choice."""
    return TRUNCATING.search(str(choice.get("finish_reason") or "")) is not None


def _find_error(reply: Any) -> Any:
    """The error inside of a reply, whatever its form; None where there is none."""
    reply = reply[0] if isinstance(reply, list) and reply else reply  # Gemini's errors come in a list
    if not isinstance(reply, dict):
        return None

    if reply.get("error"):
        return reply["error"]
    first = reply["choices"][0] if isinstance(reply.get("choices"), list) and reply["choices"] else None
    if isinstance(first, dict) and first.get("error"):
        return first["error"]
    return None if reply.get("choices") else _find_plain_error(reply)


def _find_plain_error(reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error that a reply without choices is, in words like OpenAI's."""
    errors = reply.get("errors")
    response = reply.get("Response")
    candidates = [
        reply,
        errors[0] if isinstance(errors, list) and errors else errors,
        reply.get("base_resp"),
        response.get("Error") if isinstance(response, dict) else None,
    ]

    for candidate in candidates:
        if isinstance(candidate, str):
            return {"message": candidate}
        words = _first_value(candidate, MESSAGE_NAMES)
        if words:
            return {"message": words, "code": _first_value(candidate, CODE_NAMES)}
    return {"message": reply} if reply.get("object") == "error" else None


def _first_value(candidate: Any, names: Sequence[str]) -> Any:
    """The first value under any of these names that is not empty."""
    if not isinstance(candidate, dict):
        return None
    return next((candidate[name] for name in names if candidate.get(name)), None)


def _read_error(error: Any) -> Fault:
    if not isinstance(error, dict):
        return Fault(_guess_status("", str(error)), str(error))

    code = error.get("code") if error.get("code") is not None else error.get("status")
    words = error.get("message") or error
    message = words if isinstance(words, str) else json.dumps(words)
    hints = f"{code} {error.get('type')} {error.get('status')}"
    status = _read_status(code) or _guess_status(hints, message)
    return Fault(status, message, code if isinstance(code, str | int) else None)


def _read_status(code: object) -> int | None:
    """A code that is a status of an error, as a number."""
    text = str(code)
    is_status = text.isdecimal() and len(text) == 3 and text[0] in "45"
    return int(text) if is_status else None


def _guess_status(hints: str, message: str) -> int:
    """The status that an error stands for, by its code and type, else by its words; else that of a faulty gateway."""
    for text, meanings in ((hints, STATUS_WORDS), (message, PLAIN_WORDS)):
        words = text.lower().replace(" ", "_")
        for word, status in meanings.items():
            if word in words:
                return status
    return 400 if FLAGGED.search(message) else 502
