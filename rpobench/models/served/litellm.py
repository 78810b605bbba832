"""Models of every vendor that the library LiteLLM knows, as `litellm:PROVIDER/MODEL`. Needs `rpobench[litellm]`.

The library words each request for its vendor, finds the key in the vendor's own variable, and knows what tokens cost.
How prompts are asked side by side, and what becomes of refusals, is the same as for any other server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from random import random
from typing import Any

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from rpobench.models.answer_cache import CachedModel, open_shared_cache
from rpobench.models.prices import Price
from rpobench.models.served.adapting import AdaptingModel
from rpobench.models.served.checked_client import LONGEST_SILENCE, RETRY_COUNT
from rpobench.models.served.openai import RETRIES
from rpobench.models.served.options import ModelOptions, ServedOptions, one_line, parse_served, server_address
from rpobench.models.served.patience import PATIENCE
from rpobench.models.served.replies import Reply, attempts, read_reply
from rpobench.models.served.reply_faults import EMPTY, EMPTY_TRIES, PASSING, find_fault
from rpobench.models.served.requests import write_requests
from rpobench.models.served.supervisor import find_secrets
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

# Read when the library is imported: it fetches no list, reads no `.env`, and reports nothing.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_MODE": "PRODUCTION",
}
SECRET_OPTION = re.compile(r"(key|token|secret|password|credentials?)(_id)?$", re.I)
ADDRESS_OPTIONS = ("api_base", "base_url")

FIRST_PAUSE, PAUSE, LONGEST_PAUSE = 0.1, 1.0, 8.0  # seconds before retries

# The library's own exceptions, and the status and code in OpenAI's words that say the same. Subclasses first.
MEANINGS = (
    ("ContentPolicyViolationError", 400, "content_filter"),
    ("ContextWindowExceededError", 400, "context_length_exceeded"),
    ("AuthenticationError", 401, None),
    ("PermissionDeniedError", 403, None),
    ("NotFoundError", 404, None),
    ("RateLimitError", 429, None),
    ("BadRequestError", 400, None),
)


def open_litellm(
    argument: str,
    base_url: str | None = None,
    concurrency: int = 32,
    model_options: ModelOptions | None = None,
    patience: float = PATIENCE,
) -> CachedModel:
    """Open the model of a spec `litellm:ARGUMENT`; its answers are cached.

    Args:
        argument: `PROVIDER/MODEL`, with options after `?`: see `ServedOptions`.
        base_url: The server's address, if not the one that the library knows.
        concurrency: How many requests are made at a time.
        model_options: More options, and further content of every request.
        patience: Seconds that a rate limit may last.

    Returns:
        The model; nothing is asked yet.

    Raises:
        RpobenchError: The library is not installed or knows no such provider, or an option is wrong.
    """
    name, options = parse_served(argument, model_options, kind="litellm")
    model = LiteLLMModel(name, base_url=base_url, concurrency=concurrency, options=options, patience=patience)

    return CachedModel(model, open_shared_cache())


def load_library() -> Any:
    """Import LiteLLM with everything off that talks to others.

    Returns:
        The module.

    Raises:
        RpobenchError: It is not installed.
    """
    os.environ.update(QUIET)
    try:
        library: Any = import_module("litellm")
    except ImportError as error:
        raise RpobenchError(
            f"litellm: models need the package litellm; pip install 'rpobench[litellm]' ({one_line(str(error))})"
        ) from error

    library.telemetry = False
    library.suppress_debug_info = True  # advice that it prints beside each error
    return library


class LiteLLMModel(AdaptingModel):
    """A chat model that is asked through LiteLLM.

    Args:
        model: `PROVIDER/MODEL`.
        base_url: The server's address, if not the one that the library knows.
        concurrency: How many requests are made at a time.
        options: What the user wants of each request.
        patience: Seconds that a rate limit may last.

    Raises:
        RpobenchError: As `ServedModel`; or the library is not installed, or knows no such provider.
        PromptTooLong: The server says that a chat exceeds the model's context.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        concurrency: int = 32,
        options: ServedOptions | None = None,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(concurrency=concurrency, patience=patience)
        self.model = model
        self._options = options or ServedOptions()
        self._library = load_library()

        self._provider = _find_provider(self._library, model)
        _check_options(self._options, f"litellm:{model}")
        self._own_address = server_address(base_url) if base_url else None
        self.base_url = self._own_address or _find_address(self._provider)
        self.key_name = f"{self._provider.upper()}_API_KEY"

    @property
    def identity(self) -> str:
        """Name, address where the user chose one, options, and what requests go without; never a key."""
        return f"{self._address}{self._options.identity}{self._dialect.identity}"

    @property
    def label(self) -> str:
        """How errors name it."""
        return f"litellm:{self.model}" + (f" at {self.base_url}" if self.base_url else "")

    @cached_property
    def list_price(self) -> Price | None:
        """The price that the library knows; None for a server of the user's, and for a model that it does not know."""
        if self.base_url:
            return None

        short_name = self.model.removeprefix(f"{self._provider}/")
        for name in (self.model, f"{self._provider}/{short_name}", short_name):
            facts = self._library.model_cost.get(name, {})
            is_same = str(facts.get("litellm_provider", "")).startswith(self._provider)
            dollars = facts.get("input_cost_per_token"), facts.get("output_cost_per_token")
            if is_same and all(dollars):
                return Price(round(1e6 * dollars[0], 6), round(1e6 * dollars[1], 6))
        return None

    @property
    def _address(self) -> str:
        return f"litellm:{self.model}" + (f"@{self.base_url}" if self.base_url else "")

    def _write_requests(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[dict[str, Any]]:
        return write_requests(self.model, chats, decoding, self._options)

    async def _post(self, body: dict[str, Any], started: float) -> Reply | APIStatusError:
        tries = AsyncRetrying(
            stop=stop_after_attempt(RETRIES + 1),
            wait=_choose_pause,
            retry=retry_if_result(_is_passing),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        count = 0

        async def try_once() -> Outcome:
            nonlocal count
            count += 1
            async with self._slots.hold():
                return await self._try(body, count)

        outcome: Outcome = await tries(try_once)
        seconds = time.perf_counter() - started
        if outcome.reply is not None:
            return read_reply(outcome.reply, seconds, self.label)
        if isinstance(outcome.error, APIStatusError):
            return outcome.error

        assert outcome.error is not None
        failure = one_line(outcome.error.message) + attempts(outcome.error.request)
        return Reply(Completion("", Usage(1, seconds=seconds), failure))

    async def _try(self, body: dict[str, Any], count: int) -> Outcome:
        """One try of a request."""
        deadline = self._options.deadline
        address = {"api_base": self._own_address} if self._own_address else {}
        try:
            async with asyncio.timeout(deadline):
                response = await self._library.acompletion(
                    **body, **address, **self._key_for_own_server(), timeout=deadline, max_retries=0, num_retries=0
                )
            text = _without_secrets(json.dumps(response.model_dump(), default=str))
        except TimeoutError:
            error: Exception = TimeoutError(f"no whole answer in {deadline:g} s")
        except APIError as api_error:
            error = api_error
        else:
            fault = find_fault(text.encode())
            if fault is None:
                return Outcome(reply=json.loads(text))
            return Outcome(error=_make_status_error(fault.status, fault.message, count, code=fault.code))

        return Outcome(error=self._translate(error, count))

    def _key_for_own_server(self) -> dict[str, str]:
        """A word in place of a key for a server of the user's, which often wants none, where the library insists."""
        if not self._own_address or os.environ.get(self.key_name):
            return {}
        return {"api_key": "none"}

    def _translate(self, error: Exception, count: int) -> APIStatusError | APIConnectionError:
        """The same error in OpenAI's words, without keys."""
        words = _without_secrets(str(error))
        if isinstance(error, TimeoutError | APITimeoutError | APIConnectionError):
            return APIConnectionError(message=words, request=_make_request(count))

        headers = getattr(error, "litellm_response_headers", None) or {}
        delay = {"retry-after": str(headers["retry-after"])} if "retry-after" in headers else {}
        for class_name, status, code in MEANINGS:
            if isinstance(error, getattr(self._library.exceptions, class_name)):
                return _make_status_error(status, words, count, code=code, headers=delay)

        own_status: Any = getattr(error, "status_code", None)
        is_status = type(own_status) is int and 400 <= own_status < 600
        return _make_status_error(own_status if is_status else 502, words, count, headers=delay)


@dataclass(frozen=True)
class Outcome:
    """What came of one try: the reply in OpenAI's form, or an error."""

    reply: dict[str, Any] | None = None
    error: APIStatusError | APIConnectionError | None = None


def _make_request(count: int) -> httpx2.Request:
    """What stands for the request of an error, with the number of its tries as `attempts` reads it."""
    return httpx2.Request("POST", "https://litellm.invalid", headers={RETRY_COUNT: str(count - 1)})


def _make_status_error(
    status: int, words: str, count: int, *, code: str | int | None = None, headers: dict[str, str] | None = None
) -> APIStatusError:
    response = httpx2.Response(status, headers=headers, request=_make_request(count))

    return APIStatusError(f"{status} - {words}", response=response, body={"message": words, "code": code})


def _is_passing(outcome: Outcome) -> bool:
    """Whether the same request may be answered at once or within seconds."""
    error = outcome.error
    if not isinstance(error, APIStatusError):
        return error is not None
    if error.code == EMPTY:
        return int(error.request.headers[RETRY_COUNT]) + 1 < EMPTY_TRIES
    if error.status_code == 429:
        return _read_delay(error) <= LONGEST_SILENCE

    return error.status_code >= 500 or error.status_code in PASSING


def _read_delay(error: APIStatusError) -> float:
    """Seconds after which a server wants to be asked again; 0 where it names none."""
    delay = error.response.headers.get("retry-after", "")
    return float(delay) if delay.isdecimal() else 0.0


def _choose_pause(state: RetryCallState) -> float:
    """Seconds before the next try: as the server says, else soon at first and then ever later."""
    outcome: Outcome = state.outcome.result() if state.outcome else Outcome()
    if isinstance(outcome.error, APIStatusError):
        if outcome.error.code == EMPTY:
            return 0.0
        if delay := _read_delay(outcome.error):
            return delay

    tries = state.attempt_number
    pause = FIRST_PAUSE if tries == 1 else min(PAUSE * 2 ** (tries - 2), LONGEST_PAUSE)
    return pause * (1 + random()) / 2


def _find_provider(library: Any, model: str) -> str:
    """The vendor in the library's words."""
    try:
        return str(library.get_llm_provider(model)[1])
    except APIError as error:
        raise RpobenchError(
            f"litellm:{model}: the library knows no such provider ({one_line(str(error))}); write PROVIDER/MODEL, "
            "such as anthropic/claude-sonnet-4-5"
        ) from None


def _find_address(provider: str) -> str | None:
    """The address in the variable that the library reads, which is part of every result, so it must hold no key."""
    for suffix in ("API_BASE", "BASE_URL"):
        address = os.environ.get(f"{provider.upper()}_{suffix}")
        if address:
            return server_address(address)
    return None


def _check_options(options: ServedOptions, spec: str) -> None:
    """Raise RpobenchError where an option, which would name the results, holds a key or an address."""
    secrets = find_secrets(os.environ)
    for name, value in options.body.items():
        text = json.dumps(value)
        if SECRET_OPTION.search(name) or any(secret in text for secret in secrets):
            raise RpobenchError(f"{spec}: option '{name}' holds a key; put it into the variable that the vendor names")
        if name in ADDRESS_OPTIONS:
            raise RpobenchError(f"{spec}: option '{name}' is the server's address; give it with --base-url")


def _without_secrets(text: str) -> str:
    """The text with every key of the environment, should a server or the library repeat it, taken out."""
    for secret, name in find_secrets(os.environ).items():
        text = text.replace(secret, f"[{name}]")
    return text
