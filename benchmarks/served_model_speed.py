"""Throughput against a server that takes 200 ms an answer: rpobench beside a plain thread pool, and a hit of the cache.

    python benchmarks/served_model_speed.py [--requests 640] [--concurrency 32] [--delay 0.2] [--rounds 3]

The server is a process of its own on this machine. Ideal is requests / concurrency * delay. The pool has one thread and
one `requests` session a place, and does nothing but post and read the text. Rounds alternate, and each contestant's
fastest counts.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from aiohttp import web

from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.scripted import ScriptedModel, generic
from rpobench.models.served.openai import ServedModel
from rpobench.types import Chat, Decoding, Message


def serve(delay: float) -> None:
    """Answer every chat after `delay` seconds; the port goes to stdout."""

    async def answer(request: web.Request) -> web.Response:
        await request.json()
        await asyncio.sleep(delay)
        message = {"role": "assistant", "content": "a late train"}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                                  "usage": {"prompt_tokens": 60, "completion_tokens": 3}})  # fmt: skip

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def ask_by_threads(url: str, chats: list[Chat], threads: int) -> list[str]:
    """Send the same requests through plain threads."""
    thread_state = threading.local()

    def ask(chat: Chat) -> str:
        if not hasattr(thread_state, "session"):
            thread_state.session = requests.Session()

        messages = [{"role": message.role, "content": message.content} for message in chat]
        body = {"model": "m", "messages": messages, "temperature": 0.0, "max_tokens": 16}
        answer = thread_state.session.post(f"{url}/chat/completions", json=body, timeout=60)
        return str(answer.json()["choices"][0]["message"]["content"])

    with ThreadPoolExecutor(threads) as workers:
        return list(workers.map(ask, chats))


def measure_seconds(work: Callable[[], object]) -> float:
    """Return how many seconds the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure_cache_hit(chats: list[Chat]) -> float:
    """Return the milliseconds of one cached call, file already open."""
    with tempfile.TemporaryDirectory() as folder:
        model = CachedModel(ScriptedModel(generic), AnswerCache(Path(folder) / "answers.sqlite"))
        model.generate(chats, Decoding())

        seconds = measure_seconds(lambda: [model.generate([chat], Decoding()) for chat in chats])
        return 1000 * seconds / len(chats)


def main() -> None:
    """Print seconds and the share of the ideal."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=640)
    options.add_argument("--concurrency", type=int, default=32)
    options.add_argument("--delay", type=float, default=0.2)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()

    if arguments.serve:
        serve(arguments.delay)
        return

    chats: list[Chat] = [
        (Message("user", f"Paraphrase number {n}: " + "late train " * 25),) for n in range(arguments.requests)
    ]

    command = [sys.executable, __file__, "--serve", "--delay", str(arguments.delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        model = ServedModel("m", base_url=url, concurrency=arguments.concurrency)
        contestants: dict[str, Callable[[], object]] = {
            "rpobench": lambda: model.generate(chats, Decoding(16)),
            "thread pool": lambda: ask_by_threads(url, chats, arguments.concurrency),
        }

        model.generate(chats[: arguments.concurrency], Decoding(16))  # connections are made
        rounds = [{name: measure_seconds(work) for name, work in contestants.items()} for _ in range(arguments.rounds)]
        server.terminate()

    ideal = arguments.requests / arguments.concurrency * arguments.delay
    print(f"{arguments.requests} requests of {arguments.delay * 1000:g} ms, ", end="")
    print(f"{arguments.concurrency} at a time: ideal {ideal:.2f} s")
    for name in contestants:
        best = min(times[name] for times in rounds)
        print(
            f"{name:>14}  {best:6.2f} s  {arguments.requests / best:6.1f} requests/s  {ideal / best:.2f} of the ideal"
        )
    print(f"a hit of the cache: {measure_cache_hit(chats):.3f} ms (at most 1)")


if __name__ == "__main__":
    main()
