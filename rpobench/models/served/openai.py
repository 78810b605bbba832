"""Models behind an OpenAI-compatible server: a vendor's, vLLM, TGI, llama.cpp, `transformers serve`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpobench.models.answer_cache import CachedModel, open_shared_cache
from rpobench.models.protocol import LanguageModel
from rpobench.models.served.adapting import AdaptingModel
from rpobench.models.served.dialect import Dialect
from rpobench.models.served.launch import LaunchedModel, plan_server
from rpobench.models.served.options import (
    OFFICIAL,
    ModelOptions,
    ServedOptions,
    one_line,
    parse_served,
    read_key,
    server_address,
)
from rpobench.models.served.patience import PATIENCE
from rpobench.models.served.replies import Reply, attempts, read_reply
from rpobench.models.served.requests import write_requests
from rpobench.types import Chat, Completion, Decoding, Usage

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

RETRIES = 5  # of the official client: after 0.1, 1, 2, 4 and 8 seconds, or when the server's Retry-After says


def open_served(
    argument: str,
    base_url: str | None = None,
    concurrency: int = 32,
    model_options: ModelOptions | None = None,
    patience: float = PATIENCE,
    serve: str | None = None,
    serve_wait: float | None = None,
) -> CachedModel:
    """Open the model of a spec `openai:ARGUMENT`; its answers are cached.

    Args:
        argument: `MODEL`, with options after `?`: see `ServedOptions`.
        base_url: The server's address, if not OPENAI_BASE_URL or OpenAI's.
        concurrency: How many requests are made at a time.
        model_options: More options, and further content of every request.
        patience: Seconds that a rate limit may last.
        serve: A command that starts the server when it is first asked; `{port}` stands where its port goes.
        serve_wait: Seconds that it may take until it answers.

    Returns:
        The model; nothing is asked of the server yet.

    Raises:
        RpobenchError: There is no model, an option or the address is wrong, or there is no key where one is needed.
    """
    name, options = parse_served(argument, model_options)
    server = plan_server(serve, serve_wait, base_url)

    served = ServedModel(
        name,
        base_url=server.url if server else base_url,
        server_name=server.name if server else None,
        concurrency=concurrency,
        options=options,
        patience=patience,
    )
    model: LanguageModel = LaunchedModel(served, server) if server else served

    return CachedModel(model, open_shared_cache())


class ServedModel(AdaptingModel):
    """A chat model that is asked over HTTP.

    The official client retries 429, 5xx, timeouts, cut connections and unusable answers five times. A request that is
    still without answer, and one that the server refused while it answered others, is a completion with `failure`. What
    a server does not take of a request (a temperature, say) is left out from then on, and the identity says so.

    Args:
        model: The name that the server knows it by.
        base_url: The server's address, if not OPENAI_BASE_URL or OpenAI's.
        server_name: What stands for the address in the identity, where the address is another one each time.
        concurrency: How many requests are made at a time.
        options: What the user wants of each request.
        patience: Seconds that a rate limit may last.

    Raises:
        RpobenchError: The server refuses key or model, every prompt, or too many requests failed (see FailureLimit).
        PromptTooLong: The server says that a chat exceeds the model's context.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        server_name: str | None = None,
        concurrency: int = 32,
        options: ServedOptions | None = None,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(concurrency=concurrency, patience=patience)
        self.model, self.base_url = model, server_address(base_url)
        self.server_name = server_name or self.base_url

        self._options = options or ServedOptions()
        self._key = read_key(self.base_url)

    @property
    def identity(self) -> str:
        """Name, address (or what stands for it), options, and what the server made us leave out; never the key."""
        return f"openai:{self._address}{self._options.identity}{self._dialect.identity}"

    @property
    def label(self) -> str:
        """How errors name it."""
        return f"openai:{self.model} at {self.base_url}"

    @property
    def _first_dialect(self) -> Dialect:
        return Dialect(renames_length=self.base_url == OFFICIAL)

    @property
    def _address(self) -> str:
        return f"{self.model}@{self.server_name}"

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        from rpobench.models.served.checked_client import CheckedClient

        http_client = CheckedClient(deadline=self._options.deadline, connections=self.concurrency, slots=self._slots)
        return AsyncOpenAI(api_key=self._key, base_url=self.base_url, max_retries=RETRIES, http_client=http_client)

    def _write_requests(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[dict[str, Any]]:
        return write_requests(self.model, chats, decoding, self._options)

    async def _post(self, body: dict[str, Any], started: float) -> Reply | APIStatusError:
        import httpx2
        from openai import APIConnectionError, APIStatusError

        try:
            # Not `chat.completions.create`, whose typed twins of request and answer cost a third of the processor time.
            response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except APIStatusError as error:
            return error  # judged outside of this block: a traceback would show its words, maybe with the key
        except APIConnectionError as error:
            failure = one_line(str(error.__cause__ or error)) + attempts(error.request)
            return Reply(Completion("", Usage(1, seconds=time.perf_counter() - started), failure))

        return read_reply(response.json(), time.perf_counter() - started, self.label)
