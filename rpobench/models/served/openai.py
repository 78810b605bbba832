"""Models behind an OpenAI-compatible server: a vendor's, vLLM, TGI, llama.cpp, `transformers serve`."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpobench.models.answer_cache import CachedModel, shared_cache
from rpobench.models.protocol import PromptTooLong, Ready, ReportingModel
from rpobench.models.served.event_loop import BackgroundLoop
from rpobench.models.served.failure_limit import FailureLimit
from rpobench.models.served.options import KEY, OFFICIAL, one_line, parse_served, plain_url, server_key, without_key
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

if TYPE_CHECKING:
    from httpx2 import Request
    from openai import APIStatusError, AsyncOpenAI

RETRIES = 5  # of the official client: after 0.5, 1, 2, 4 and 8 seconds, or when the server's Retry-After says
REFUSED = "refused by the server's content filter"
TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size|limit)|too (long|many tokens)|exceed.{0,60}(context|token)", re.I
)
MOST_TOKENS = 1 << 32  # no answer has more; a count beyond is nonsense
CHOICE_TOKENS = 32  # room for a label and the words some models put around it


def open_served(argument: str, base_url: str | None = None, concurrency: int = 32) -> CachedModel:
    """`MODEL`, with options after `?`: deadline (seconds), system (a prompt before every chat). Its answers are cached.

    Raises:
        RpobenchError: no model, a wrong option or address, or no key where one is needed.
    """
    name, options = parse_served(argument)
    return CachedModel(ServedModel(name, base_url=base_url, concurrency=concurrency, **options), shared_cache())


class ServedModel(ReportingModel):
    """A chat model that is asked over HTTP, `concurrency` requests at a time.

    The official client retries 429, 5xx, timeouts, cut connections and unusable answers five times. A request that is
    still without answer, and one that a content filter refused, is a completion with `failure`.

    Raises:
        RpobenchError: the server refuses key, model or request, or too many requests failed (see FailureLimit).
        PromptTooLong: the server says that a chat exceeds the model's context.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        concurrency: int = 32,
        system: str | None = None,
        deadline: float = 60.0,
    ) -> None:
        self.model, self.base_url, self.concurrency = model, plain_url(base_url), concurrency
        self._system, self._deadline = system, deadline
        self._key = server_key(self.base_url)
        self._limit = FailureLimit()

    @property
    def identity(self) -> str:
        """Name, address and system prompt; never the key."""
        system = f"+system:{hashlib.sha256(self._system.encode()).hexdigest()[:12]}" if self._system else ""
        return f"openai:{self.model}@{self.base_url}{system}"

    @cached_property
    def _loop(self) -> BackgroundLoop:
        return BackgroundLoop()

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        from rpobench.models.served.checked_client import CheckedClient

        http = CheckedClient(deadline=self._deadline, connections=self.concurrency)
        return AsyncOpenAI(api_key=self._key, base_url=self.base_url, max_retries=RETRIES, http_client=http)

    def generate_each(self, chats: Sequence[Chat], decoding: Decoding, ready: Ready) -> Sequence[Completion]:
        """As `generate`; `ready` is called in another thread as answers come in. Whether a chat that ends with an
        assistant message is continued is the server's affair."""
        return self._loop.run(self._all(chats, decoding, ready))

    def choose_each(
        self, chats: Sequence[Chat], options: Sequence[str], neutral: Sequence[Chat] | None, ready: Ready
    ) -> Sequence[Completion]:
        """What the model says, as it is: a server gives no likelihoods to choose by. The task reads the label in it."""
        return self.generate_each(chats, Decoding(max_new_tokens=CHOICE_TOKENS), ready)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Servers have none."""
        raise RpobenchError(f"openai:{self.model}: API models have no likelihoods; take a local one")

    async def _all(self, chats: Sequence[Chat], decoding: Decoding, ready: Ready) -> list[Completion]:
        done: dict[int, Completion] = {}
        stop: list[RpobenchError] = []
        bodies = self._bodies(chats, decoding)

        async def work() -> None:
            for place, body in bodies:
                if stop:
                    return
                try:
                    done[place] = await self._ask(chats[place], body)
                    self._count(done[place])
                    ready(place, done[place])
                except RpobenchError as error:
                    stop.append(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.concurrency, len(chats))):
                group.create_task(work())
        if stop:
            raise stop[0]
        if self._limit.dead:
            raise self._stopped(self._limit.failed, next(iter(done.values())).failure)
        return [done[place] for place in range(len(chats))]

    def _bodies(self, chats: Sequence[Chat], decoding: Decoding) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each request's place and content. Equal chats that are sampled with a seed get a seed each."""
        room = "max_completion_tokens" if self.base_url == OFFICIAL else "max_tokens"
        common: dict[str, Any] = {
            "model": self.model,
            "temperature": decoding.temperature,
            room: decoding.max_new_tokens,
            **({"top_p": decoding.top_p} if decoding.top_p < 1 else {}),
        }
        before: Counter[Chat] = Counter()
        for place, chat in enumerate(chats):
            body = common | {"messages": self._messages(chat)}
            if decoding.seed is not None and decoding.temperature > 0:
                digest = hashlib.sha256(f"{decoding.seed} {before[chat]}".encode()).digest()
                body["seed"] = int.from_bytes(digest[:4], "big") >> 1
            before[chat] += 1
            yield place, body

    def _messages(self, chat: Chat) -> list[dict[str, str]]:
        """The chat as the server takes it; half a surrogate pair, which is no text, becomes a question mark."""
        said = [(message.role, message.content) for message in chat]
        if self._system and said[0][0] != "system":
            said.insert(0, ("system", self._system))
        return [{"role": role, "content": text.encode("utf-8", "replace").decode()} for role, text in said]

    async def _ask(self, chat: Chat, body: dict[str, Any]) -> Completion:
        import httpx2
        from openai import APIConnectionError, APIStatusError

        started, refused = time.perf_counter(), None
        try:
            # Not `chat.completions.create`, whose typed twins of request and answer cost a third of the processor time.
            answer = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except APIStatusError as error:
            refused = error  # judged outside of this block: a traceback would show its words, maybe with the key
        except APIConnectionError as error:
            failure = one_line(str(error.__cause__ or error)) + _asked(error.request)
        else:
            return _completion(answer.json(), time.perf_counter() - started)
        if refused:
            failure = self._refusal(refused, chat)
        return Completion("", Usage(1, seconds=time.perf_counter() - started), failure)

    def _refusal(self, error: APIStatusError, chat: Chat) -> str:
        """Why this request has no answer. What would refuse every request, or needs the user, is raised."""
        where = f"openai:{self.model} at {self.base_url}"
        # Where the server's words are not in OpenAI's form, the client leaves them out of its message.
        said = one_line(error.message if " - " in error.message else f"{error.message} - {error.body}")
        if error.code == "content_filter" or error.code == "content_policy_violation":
            return REFUSED
        if error.status_code in (401, 403):
            raise RpobenchError(f"{where}: refuses the key ({said}); set {KEY} to one that it knows")
        if error.status_code == 404:
            raise RpobenchError(f"{where}: knows no such model or address ({said}); check the name and --base-url")
        if error.code == "context_length_exceeded" or (error.status_code in (400, 413, 422) and TOO_LONG.search(said)):
            raise PromptTooLong(f"{where}: the prompt exceeds the model's context ({said})", chat)
        if error.code == "insufficient_quota" or (error.status_code < 500 and error.status_code not in (408, 409, 429)):
            raise RpobenchError(f"{where}: refuses the request ({said}); what was answered is kept")
        later = error.response.headers.get("retry-after")
        return said + (f", with Retry-After: {one_line(later)}" if later else "") + _asked(error.request)

    def _count(self, completion: Completion) -> None:
        failed = completion.failure not in (None, REFUSED)
        if self._limit.add(failed=failed):
            raise self._stopped(self._limit.failed, completion.failure)

    def _stopped(self, failed: int, failure: str | None) -> RpobenchError:
        return RpobenchError(
            f"openai:{self.model} at {self.base_url}: {failed} requests failed, {self._limit.answered} did not; "
            f"the last: {failure}; check --base-url and the server; answers are kept, the same command continues"
        )


def _asked(request: Request) -> str:
    """How often: the official client numbers its retries, of which there are none where it would wait for minutes."""
    times = int(request.headers["x-stainless-retry-count"]) + 1
    return f", asked {times} time{'s' if times > 1 else ''}"


def _completion(answer: dict[str, Any], seconds: float) -> Completion:
    """Text and usage of a checked answer; the counts of a server that sends none, or nonsense, are 0."""
    counts = answer.get("usage")
    said = [counts.get(name) if isinstance(counts, dict) else 0 for name in ("prompt_tokens", "completion_tokens")]
    read, written = (count if type(count) is int and 0 < count < MOST_TOKENS else 0 for count in said)
    usage, choice = Usage(1, read, written, seconds), answer["choices"][0]
    if choice.get("finish_reason") == "content_filter" or choice["message"].get("refusal"):
        return Completion("", usage, REFUSED)
    return Completion(without_key(choice["message"]["content"]), usage)
