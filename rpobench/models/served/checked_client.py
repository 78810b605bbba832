"""An HTTP client that lets only whole, usable answers through, so that the official client retries everything else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
from openai import DefaultAsyncHttpxClient

CONNECT = 10.0  # seconds until a connection stands: a wrong address should not cost six deadlines
MAX_BODY = 4 << 20  # bytes; a chat answer of a benchmark is a few KB, an endless one must end somewhere
LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")  # no proxy reaches this machine's own servers
ENCODING_HEADERS = ("content-encoding", "content-length", "transfer-encoding")  # wrong once the body is decoded


class CheckedClient(DefaultAsyncHttpxClient):
    """Turns what the official client would take or wait for into faults that it retries with its own back-off.

    An answer that is no JSON, holds no text or is larger than 4 MB becomes a 502 that says so. An answer that is not
    whole `deadline` seconds after its request was sent, however slowly it still drips, becomes a timeout.

    Args:
        deadline: Seconds that a request may take in all.
        connections: How many there may be at a time.
    """

    def __init__(self, *, deadline: float, connections: int) -> None:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        timeout = httpx2.Timeout(deadline, connect=min(deadline, CONNECT))
        super().__init__(timeout=timeout, limits=limits, mounts=dict.fromkeys(LOOPBACK))
        self._deadline = deadline

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer to a request, or the 502 that stands for it."""
        try:
            async with asyncio.timeout(self._deadline):
                response = await super().send(request, **{**options, "stream": True})
                try:
                    body = await _read_body(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole answer in {self._deadline:g} s", request=request) from error

        fault = None
        if body is None:
            fault = f"an answer of more than {MAX_BODY >> 20} MB"
        elif response.is_success:
            fault = answer_fault(body)
        if fault:
            return httpx2.Response(502, json={"error": {"message": fault}}, request=request)

        headers = {name: value for name, value in response.headers.items() if name not in ENCODING_HEADERS}
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


async def _read_body(response: httpx2.Response) -> bytes | None:
    """The decoded body; None where it is too large."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BODY:
            return None

    return bytes(body)


def answer_fault(body: bytes) -> str | None:
    """What is wrong with the body of a chat completion.

    Args:
        body: The decoded body of an answer with a status of success.

    Returns:
        The fault in a few words; None where the body holds text or says that it was refused.
    """
    try:
        choice = json.loads(body)["choices"][0]
        message, finish_reason = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, RecursionError):
        return "an answer that is no JSON"
    except (LookupError, TypeError, AttributeError):
        return "an answer without choices[0].message"

    if finish_reason == "content_filter" or refusal:
        return None
    if not isinstance(text, str):
        return "an answer without text"
    return None if text.strip() else f"an empty answer (finish_reason {finish_reason})"
