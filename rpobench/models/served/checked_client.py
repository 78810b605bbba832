"""An HTTP client that lets only whole, usable answers through, so that the official client retries everything else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
from openai import DefaultAsyncHttpxClient

CONNECT = 10.0  # seconds to be taken at all: a wrong address should not cost six deadlines
MAX_BODY = 4 << 20  # bytes; a chat answer of a benchmark is a few KB, an endless one must end somewhere


class CheckedClient(DefaultAsyncHttpxClient):
    """Turns what the official client would take or wait for into faults that it retries with its own back-off.

    An answer that is no JSON, holds no text or is larger than 4 MB becomes a 502 that says so. An answer that is not
    whole `deadline` seconds after its request was sent, however slowly it still drips, becomes a timeout.
    """

    def __init__(self, *, deadline: float, connections: int) -> None:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        super().__init__(timeout=httpx2.Timeout(deadline, connect=min(deadline, CONNECT)), limits=limits)
        self._deadline = deadline

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer to a request, or the 502 that stands for it."""
        try:
            async with asyncio.timeout(self._deadline):
                response = await super().send(request, **{**options, "stream": True})
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole answer in {self._deadline:g} s", request=request) from error
        fault = f"an answer of more than {MAX_BODY >> 20} MB" if body is None else None
        if fault is None and response.is_success:
            fault = answer_fault(body or b"")
        if fault:
            return httpx2.Response(502, json={"error": {"message": fault}}, request=request)
        kept = {name: value for name, value in response.headers.items() if name not in ENCODING_HEADERS}
        return httpx2.Response(response.status_code, headers=kept, content=body, request=request)


ENCODING_HEADERS = ("content-encoding", "content-length", "transfer-encoding")  # the body is decoded and whole by now


async def _read(response: httpx2.Response) -> bytes | None:
    """The decoded body; None where it is too large."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def answer_fault(body: bytes) -> str | None:
    """What is wrong with the body of a chat completion; None where it holds text or says that it was refused."""
    try:
        choice = json.loads(body)["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, RecursionError):
        return "an answer that is no JSON"
    except (LookupError, TypeError, AttributeError):
        return "an answer without choices[0].message"
    if ended == "content_filter" or refusal:
        return None
    if not isinstance(text, str):
        return "an answer without text"
    return None if text.strip() else f"an empty answer (finish_reason {ended})"
