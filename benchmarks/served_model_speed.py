"""Throughput against a server that takes 200 ms an answer: rpobench beside a plain thread pool, and a hit of the cache.

    python benchmarks/served_model_speed.py [--requests 640] [--concurrency 32] [--delay 0.2] [--rounds 3]

The server is a process of its own on this machine. Ideal is requests / concurrency * delay. The pool has as many
threads as requests may be under way, each with a `requests` session, and does nothing but post and read the text.
Rounds alternate, and each contestant's fastest counts.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
from aiohttp import web

from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.scripted import ScriptedModel, generic
from rpobench.models.served.openai import ServedModel
from rpobench.types import Chat, Decoding, Message


def serve(delay: float) -> None:
    """Serve until the process is ended: answer every chat after `delay` seconds. The port goes to stdout."""

    async def answer(request: web.Request) -> web.Response:
        await request.json()
        await asyncio.sleep(delay)

        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "a late train"},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 60, "completion_tokens": 3}
        return web.json_response({"choices": [choice], "usage": usage})

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
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_cache_hit(chats: list[Chat]) -> float:
    """Return the mean milliseconds of a call whose answer is in the cache, with the cache's file open already."""
    with tempfile.TemporaryDirectory() as folder:
        model = CachedModel(ScriptedModel(generic), AnswerCache(Path(folder) / "answers.sqlite"))
        model.generate(chats, Decoding())

        def ask_again() -> None:
            for chat in chats:
                model.generate([chat], Decoding())

        seconds = measure_seconds(ask_again)
        return 1000 * seconds / len(chats)


def parse_arguments() -> argparse.Namespace:
    """Read the options of the command line; `--serve` is how the script starts its own server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that the server takes for an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def start_server(delay: float) -> Iterator[str]:
    """Run the server in a process of its own.

    Args:
        delay: Seconds that it takes for an answer.

    Yields:
        The base address of its API.
    """
    command = [sys.executable, __file__, "--serve", "--delay", str(delay)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def measure_contestants(url: str, chats: list[Chat], concurrency: int, rounds: int) -> dict[str, float]:
    """Send all requests by each contestant in turn, round after round.

    Args:
        url: The base address of the server's API.
        chats: The requests.
        concurrency: How many requests are under way at a time.
        rounds: How often each contestant runs.

    Returns:
        The seconds of each contestant's fastest round, by its name.
    """
    model = ServedModel("m", base_url=url, concurrency=concurrency)
    contestants: dict[str, Callable[[], object]] = {
        "rpobench": lambda: model.generate(chats, Decoding(16)),
        "thread pool": lambda: ask_by_threads(url, chats, concurrency),
    }
    model.generate(chats[:concurrency], Decoding(16))  # connections are made

    fastest = dict.fromkeys(contestants, math.inf)
    for _ in range(rounds):
        for name, work in contestants.items():
            fastest[name] = min(fastest[name], measure_seconds(work))
    return fastest


def main() -> None:
    """Print seconds and the share of the ideal."""
    arguments = parse_arguments()
    if arguments.serve:
        serve(arguments.delay)
        return

    chats: list[Chat] = []
    for number in range(arguments.requests):
        chats.append((Message("user", f"Paraphrase number {number}: " + "late train " * 25),))

    with start_server(arguments.delay) as url:
        fastest = measure_contestants(url, chats, arguments.concurrency, arguments.rounds)

    ideal = arguments.requests / arguments.concurrency * arguments.delay
    print(f"{arguments.requests} requests of {arguments.delay * 1000:g} ms, ", end="")
    print(f"{arguments.concurrency} at a time: ideal {ideal:.2f} s")

    for name, seconds in fastest.items():
        rate = arguments.requests / seconds
        print(f"{name:>14}  {seconds:6.2f} s  {rate:6.1f} requests/s  {ideal / seconds:.2f} of the ideal")
    print(f"a hit of the cache: {measure_cache_hit(chats):.3f} ms (at most 1)")


if __name__ == "__main__":
    main()
