"""A real chat server on this machine (aiohttp) that misbehaves as told, counting requests and each fault it served."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from aiohttp import web

from rpobench.types import Chat, Message

FAULTS = ("429", "500", "malformed", "empty", "endless", "slow", "closed", "hanging")
KEY = "sk-quite-secret-0123456789"


def last_words(body: dict[str, Any]) -> str:
    """The default answer: the last words of the last message."""
    return " ".join(body["messages"][-1]["content"].split()[-4:]) or "nothing"


class ChatServer:
    """`bodies` are the requests as they came; `faults` go out first, in order, then a random `share` of `kinds`.

    `served` counts the faults; `statuses` maps a status to the JSON of an error that every request gets.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.share, self.kinds, self._random = 0.0, FAULTS, Random(0)
        self.served: Counter[str] = Counter()

        self.reply: Callable[[dict[str, Any]], str] = last_words
        self.finish, self.counts = "stop", True
        self.usage: dict[str, Any] | None = None  # sent instead of the true counts

        self.error: tuple[int, dict[str, Any]] | None = None
        self.error_field = "error"  # other servers name it otherwise
        self.retry_after: str | None = None
        self.delay, self.under_way, self.most_under_way = 0.0, 0, 0
        self.slow_words: str | None = None  # a prompt that ends with them is answered half a second later
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

        try:
            is_slow = self.slow_words and body["messages"][-1]["content"].endswith(self.slow_words)
            await asyncio.sleep(self.delay + (0.5 if is_slow else 0.0))
            fault = self._next_fault()
            if fault:
                self.served[fault] += 1
                return await self._misbehave(fault, request)

            return self._answer(body)
        finally:
            self.under_way -= 1

    def _answer(self, body: dict[str, Any]) -> web.Response:
        if self.error:
            status, content = self.error
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.json_response({self.error_field: content}, status=status, headers=headers)

        text = self.reply(body)
        message = {"role": "assistant", "content": text}
        answer: dict[str, Any] = {"choices": [{"index": 0, "message": message, "finish_reason": self.finish}]}

        if self.counts:
            read = sum(len(message_body["content"].split()) for message_body in body["messages"])
            answer["usage"] = self.usage or {"prompt_tokens": read, "completion_tokens": len(text.split())}

        return web.json_response({"id": "x", "object": "chat.completion", "created": 0, "model": "m", **answer})

    def _next_fault(self) -> str | None:
        if self.faults:
            return self.faults.pop(0) or None
        return self._random.choice(self.kinds) if self._random.random() < self.share else None

    async def _misbehave(self, fault: str, request: web.Request) -> web.StreamResponse:
        if fault == "429":
            headers = {"Retry-After": self.retry_after or "1"}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        if fault == "500":
            return web.json_response({"error": {"message": "out of order"}}, status=500)

        if fault in ("malformed", "empty", "shapeless", "deep"):
            bodies = {"malformed": '{"choices": [', "shapeless": '{"choices": []}', "deep": "[" * 100_000}
            empty = json.dumps({"choices": [{"message": {"content": " \n"}, "finish_reason": "stop"}]})
            return web.Response(text=bodies.get(fault, empty), content_type="application/json")

        if fault == "closed":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if fault == "hanging":
            await asyncio.sleep(600)

        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        while True:  # endless: as fast as it is read; slow: a byte now and then, so that no single read times out
            await stream.write(b" " * (1 << 16) if fault == "endless" else b" ")
            await asyncio.sleep(0 if fault == "endless" else 0.05)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server that answers at its `url` while the block runs."""
    served, loop, started = ChatServer(), asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", served.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.port = runner.addresses[0][1]
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.call_soon(started.set)  # once the loop runs on: a stop that came before would be lost
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    assert started.wait(10)

    try:
        yield served
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def chats(count: int) -> list[Chat]:
    """So many different questions."""
    return [(Message("user", f"say this number {number}"),) for number in range(count)]
