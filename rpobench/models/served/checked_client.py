"""An HTTP client that lets only whole, usable answers through, so that the official client retries everything else."""

from __future__ import annotations

import asyncio
from random import random
from typing import Any

import httpx2
from openai import DefaultAsyncHttpxClient

from rpobench.models.served.reply_faults import EMPTY, EMPTY_TRIES, PASSING, Fault, find_fault
from rpobench.models.served.slots import Slots

CONNECT = 10.0  # seconds until a connection stands: a wrong address should not cost six deadlines
MAX_BODY = 4 << 20  # bytes; a chat answer of a benchmark is a few KB, an endless one must end somewhere
LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")  # no proxy reaches this machine's own servers
ENCODING_HEADERS = ("content-encoding", "content-length", "transfer-encoding")  # wrong once the body is decoded

RETRY_COUNT = "x-stainless-retry-count"  # the official client numbers its tries with it
SOON = 50  # milliseconds, doubled at most, until the first retry
LONGEST_SILENCE = 10.0  # seconds; a longer rate limit is waited for aloud, see `patience`


class CheckedClient(DefaultAsyncHttpxClient):
    """Turns what the official client would take or wait for into faults that it retries with its own back-off.

    An answer that is no JSON, holds no text or is larger than 4 MB becomes a 502 that says so; an error inside of an
    answer with status 200 becomes an answer with that error's status. An answer that is not whole `deadline` seconds
    after its request was sent, however slowly it still drips, becomes a timeout.

    Args:
        deadline: Seconds that a request may take in all.
        slots: The places of requests at a time; a request that waits for its next try holds none.
        connections: How many connections there may be at a time.
    """

    def __init__(self, *, deadline: float, connections: int, slots: Slots | None = None) -> None:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        timeout = httpx2.Timeout(deadline, connect=min(deadline, CONNECT))
        super().__init__(timeout=timeout, limits=limits, mounts=dict.fromkeys(LOOPBACK))
        self._deadline = deadline
        self._slots = slots or Slots(connections)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer to a request, or the error that stands for it.

        An answer without words is no sign of overload: the other tries go out at once and together.
        """
        response = await self._try(request, **options)
        if not _is_empty(response):
            return response

        retries = [self._try(request, **options) for _ in range(EMPTY_TRIES - 1)]
        responses = await asyncio.gather(*retries)
        return next((retried for retried in responses if not _is_empty(retried)), response)

    async def _try(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        async with self._slots.hold():
            try:
                response, body = await self._send(request, **options)
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as error:
                content = {"error": {"message": f"the connection was cut: {error or 'disconnected'}"}}
                return httpx2.Response(503, json=content, headers=_advise_after_fault(request), request=request)

        if body is None:
            content = {"error": {"message": f"an answer of more than {MAX_BODY >> 20} MB"}}
            return httpx2.Response(502, json=content, request=request)

        if response.is_success:
            fault = find_fault(body)
            if fault:
                return _stand_for(fault, request)

        headers = {name: value for name, value in response.headers.items() if name not in ENCODING_HEADERS}
        headers |= _advise_retry(response, request)
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    async def _send(self, request: httpx2.Request, **options: Any) -> tuple[httpx2.Response, bytes | None]:
        """The response and its decoded body; None for a body that is too large."""
        try:
            async with asyncio.timeout(self._deadline):
                response = await super().send(request, **{**options, "stream": True})
                try:
                    return response, await (_read_body(response) if response.is_success else _read_words(response))
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole answer in {self._deadline:g} s", request=request) from error


async def _read_body(response: httpx2.Response) -> bytes | None:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BODY:
            return None

    return bytes(body)


async def _read_words(response: httpx2.Response) -> bytes:
    """The beginning of an error's body, whose status counts whatever stands there."""
    body = bytearray()
    try:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_BODY:
                break
    except httpx2.DecodingError:
        return b"words that cannot be decoded"

    return bytes(body[:MAX_BODY])


def _stand_for(fault: Fault, request: httpx2.Request) -> httpx2.Response:
    """The error that stands for a faulty answer. The official client does not retry an empty one: that was done."""
    is_empty = fault.code == EMPTY
    headers = {"x-should-retry": "false"} if is_empty else _advise_after_fault(request)
    return httpx2.Response(
        fault.status, json=fault.content, headers=headers, request=request, extensions={EMPTY: is_empty}
    )


def _is_empty(response: httpx2.Response) -> bool:
    return bool(response.extensions.get(EMPTY))


def _advise_after_fault(request: httpx2.Request) -> dict[str, str]:
    """Headers after a fault of the server: one that comes alone is over at once, so the first retry comes soon."""
    is_first_try = request.headers.get(RETRY_COUNT) == "0"

    return {"retry-after-ms": f"{SOON + SOON * random():.0f}"} if is_first_try else {}


def _advise_retry(response: httpx2.Response, request: httpx2.Request) -> dict[str, str]:
    """Headers that tell the official client when to try again, where its own way would not do.

    A long rate limit is left to `patience`, which says that it waits.
    """
    delay = response.headers.get("retry-after", "")
    if response.status_code == 429 and delay.isdecimal() and float(delay) > LONGEST_SILENCE:
        return {"x-should-retry": "false"}
    if response.status_code < 500 and response.status_code not in PASSING:
        return {}

    advice = {} if delay else _advise_after_fault(request)
    return advice if "x-should-retry" in response.headers else {"x-should-retry": "true", **advice}
