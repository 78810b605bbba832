"""Models behind an OpenAI-compatible server: a vendor's, vLLM, TGI, llama.cpp, `transformers serve`."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpobench.models.answer_cache import CachedModel, open_shared_cache
from rpobench.models.protocol import LanguageModel, OnCompletion, ReportingModel
from rpobench.models.served.event_loop import BackgroundLoop
from rpobench.models.served.failure_limit import FailureLimit
from rpobench.models.served.launch import LaunchedModel, plan_server
from rpobench.models.served.options import OFFICIAL, one_line, parse_served, read_key, server_address
from rpobench.models.served.replies import REFUSED, attempts, explain_refusal, read_completion
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

RETRIES = 5  # of the official client: after 0.5, 1, 2, 4 and 8 seconds, or when the server's Retry-After says
CHOICE_TOKENS = 32  # room for a label and the words some models put around it


def open_served(
    argument: str,
    base_url: str | None = None,
    concurrency: int = 32,
    serve: str | None = None,
    serve_wait: float | None = None,
) -> CachedModel:
    """The model of a spec `openai:ARGUMENT`; its answers are cached.

    Args:
        argument: `MODEL`, with options after `?`: deadline (seconds), system (a prompt before every chat).
        base_url: The server's address, if not OPENAI_BASE_URL or OpenAI's.
        concurrency: How many requests are made at a time.
        serve: A command that starts the server when it is first asked; `{port}` stands where its port goes.
        serve_wait: Seconds that it may take until it answers.

    Returns:
        The model; nothing is asked of the server yet.

    Raises:
        RpobenchError: There is no model, an option or the address is wrong, or there is no key where one is needed.
    """
    name, options = parse_served(argument)
    server = plan_server(serve, serve_wait, base_url)
    if server is None:
        model: LanguageModel = ServedModel(name, base_url=base_url, concurrency=concurrency, **options)
    else:
        served = ServedModel(name, base_url=server.url, server_name=server.name, concurrency=concurrency, **options)
        model = LaunchedModel(served, server)

    return CachedModel(model, open_shared_cache())


class ServedModel(ReportingModel):
    """A chat model that is asked over HTTP.

    The official client retries 429, 5xx, timeouts, cut connections and unusable answers five times. A request that is
    still without answer, and one that a content filter refused, is a completion with `failure`.

    Args:
        model: The name that the server knows it by.
        base_url: The server's address, if not OPENAI_BASE_URL or OpenAI's.
        server_name: What stands for the address in the identity, where the address is another one each time.
        concurrency: How many requests are made at a time.
        system: A prompt before every chat that has no system message of its own.
        deadline: Seconds that one request may take.

    Raises:
        RpobenchError: The server refuses key, model or request, or too many requests failed (see FailureLimit).
        PromptTooLong: The server says that a chat exceeds the model's context.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        server_name: str | None = None,
        concurrency: int = 32,
        system: str | None = None,
        deadline: float = 60.0,
    ) -> None:
        self.model, self.base_url = model, server_address(base_url)
        self.server_name, self.concurrency = server_name or self.base_url, concurrency

        self._system, self._deadline = system, deadline
        self._key = read_key(self.base_url)
        self._limit = FailureLimit()

    @property
    def identity(self) -> str:
        """Name, address (or what stands for it) and system prompt; never the key."""
        system = f"+system:{hashlib.sha256(self._system.encode()).hexdigest()[:12]}" if self._system else ""
        return f"openai:{self.model}@{self.server_name}{system}"

    @property
    def _label(self) -> str:
        """How errors name it."""
        return f"openai:{self.model} at {self.base_url}"

    @cached_property
    def _loop(self) -> BackgroundLoop:
        return BackgroundLoop()

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        from rpobench.models.served.checked_client import CheckedClient

        http_client = CheckedClient(deadline=self._deadline, connections=self.concurrency)
        return AsyncOpenAI(api_key=self._key, base_url=self.base_url, max_retries=RETRIES, http_client=http_client)

    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `generate`; completions are reported in another thread as they come in.

        Whether a chat that ends with an assistant message is continued is the server's affair.
        """
        return self._loop.run(self._ask_all(chats, decoding, on_completion))

    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """What the model says, as it is: a server gives no likelihoods to choose by. The task reads the label in it."""
        return self.generate_each(chats, Decoding(max_new_tokens=CHOICE_TOKENS), on_completion)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Servers have none."""
        raise RpobenchError(f"openai:{self.model}: API models have no likelihoods; take a local one")

    async def _ask_all(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> list[Completion]:
        completions: dict[int, Completion] = {}
        errors: list[RpobenchError] = []
        bodies = enumerate(self._request_bodies(chats, decoding))

        async def work() -> None:
            for index, body in bodies:  # all workers take from the same iterator
                if errors:
                    return

                try:
                    completions[index] = await self._ask(chats[index], body)
                    self._count(completions[index])
                    on_completion(index, completions[index])
                except RpobenchError as error:
                    errors.append(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.concurrency, len(chats))):
                group.create_task(work())

        if errors:
            raise errors[0]
        if self._limit.never_answered:
            raise self._stop(next(iter(completions.values())).failure)
        return [completions[index] for index in range(len(chats))]

    def _request_bodies(self, chats: Sequence[Chat], decoding: Decoding) -> Iterator[dict[str, Any]]:
        """Each request's content, in order. Equal chats that are sampled with a seed get a seed each."""
        length_name = "max_completion_tokens" if self.base_url == OFFICIAL else "max_tokens"
        common: dict[str, Any] = {
            "model": self.model,
            "temperature": decoding.temperature,
            length_name: decoding.max_new_tokens,
        }
        if decoding.top_p < 1:
            common["top_p"] = decoding.top_p

        repetitions: Counter[Chat] = Counter()
        for chat in chats:
            body = common | {"messages": self._messages(chat)}
            if decoding.seed is not None and decoding.temperature > 0:
                digest = hashlib.sha256(f"{decoding.seed} {repetitions[chat]}".encode()).digest()
                body["seed"] = int.from_bytes(digest[:4], "big") >> 1
            repetitions[chat] += 1
            yield body

    def _messages(self, chat: Chat) -> list[dict[str, str]]:
        """The chat as the server takes it; half a surrogate pair, which is no text, becomes a question mark."""
        turns = [(message.role, message.content) for message in chat]
        if self._system and turns[0][0] != "system":
            turns.insert(0, ("system", self._system))
        return [{"role": role, "content": text.encode("utf-8", "replace").decode()} for role, text in turns]

    async def _ask(self, chat: Chat, body: dict[str, Any]) -> Completion:
        import httpx2
        from openai import APIConnectionError, APIStatusError

        started = time.perf_counter()
        refusal = None
        try:
            # Not `chat.completions.create`, whose typed twins of request and answer cost a third of the processor time.
            response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except APIStatusError as error:
            refusal = error  # judged outside of this block: a traceback would show its words, maybe with the key
        except APIConnectionError as error:
            failure = one_line(str(error.__cause__ or error)) + attempts(error.request)
        else:
            return read_completion(response.json(), time.perf_counter() - started)

        if refusal:
            failure = explain_refusal(refusal, self._label, chat)
        return Completion("", Usage(1, seconds=time.perf_counter() - started), failure)

    def _count(self, completion: Completion) -> None:
        is_failed = completion.failure not in (None, REFUSED)
        if self._limit.add(failed=is_failed):
            raise self._stop(completion.failure)

    def _stop(self, failure: str | None) -> RpobenchError:
        return RpobenchError(
            f"{self._label}: {self._limit.failed} requests failed, {self._limit.answered} did not; "
            f"the last: {failure}; check --base-url and the server; answers are kept, the same command continues"
        )
