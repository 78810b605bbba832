"""A run against a server with every kind of fault: what it costs, how it ends, and whether a second run ends alike.

    python benchmarks/served_model_faults.py [--examples 500] [--concurrency 32] [--delay 0.2]

The server, a process of its own on this machine, refuses 3 of 100 prompts for ever, answers 3 with nothing for ever,
and meets 5 with a fault that is over when they are asked again: a rate limit, an error, a cut connection, an error
inside of a 200, or a body that is no JSON. The second run has an empty cache of answers, and the folder of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

REFUSED, EMPTY, PASSING = 3, 3, 5  # of 100 prompts
PASSING_FAULTS = ("429", "500", "closed", "error in a 200", "no JSON")


class FaultyServer:
    """Answers chats after a delay, and counts what it did."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.counts: Counter[str] = Counter()
        self.first_request = self.last_answer = 0.0
        self._seen: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        prompt = str((await request.json())["messages"][-1]["content"])
        number = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
        self.first_request = self.first_request or time.monotonic()
        self.counts["requests"] += 1

        await asyncio.sleep(self.delay)
        response = self._respond(request, prompt, number)
        self.last_answer = time.monotonic()
        return response

    def _respond(self, request: web.Request, prompt: str, number: int) -> web.Response:
        share, is_first_time = number % 100, prompt not in self._seen
        self._seen.add(prompt)

        if share < REFUSED:
            self.counts["refusals"] += 1
            return web.json_response({"error": {"message": "Content Exists Risk"}}, status=400)
        if share < REFUSED + EMPTY:
            self.counts["empty answers"] += 1
            return choice_reply("")
        if share < REFUSED + EMPTY + PASSING and is_first_time:
            self.counts["passing faults"] += 1
            return fail(request, PASSING_FAULTS[number // 100 % len(PASSING_FAULTS)])
        return choice_reply("a late train")

    async def report(self, request: web.Request) -> web.Response:
        seconds = self.last_answer - self.first_request
        return web.json_response({**self.counts, "prompts": len(self._seen), "seconds": seconds})


def choice_reply(text: str) -> web.Response:
    """Return a chat completion with this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 60, "completion_tokens": 3}
    return web.json_response({"choices": [choice], "usage": usage})


def fail(request: web.Request, fault: str) -> web.Response:
    """Return a fault that will be over the next time."""
    if fault == "429":
        return web.json_response({"error": {"message": "slow down"}}, status=429)
    if fault == "500":
        return web.json_response({"error": {"message": "out of order"}}, status=500)
    if fault == "error in a 200":
        return web.json_response({"choices": None, "error": {"message": "upstream is down", "code": 502}})
    if fault == "no JSON":
        return web.Response(text="<html>", content_type="application/json")

    assert request.transport is not None
    request.transport.close()
    return web.Response()


def serve(delay: float) -> None:
    """Serve until the process is ended. The port goes to stdout."""

    async def run() -> None:
        server, app = FaultyServer(delay), web.Application()
        app.router.add_post("/v1/chat/completions", server.answer)
        app.router.add_get("/report", server.report)

        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def start_server(delay: float) -> Iterator[str]:
    """Run the server in a process of its own and yield its address."""
    command = [sys.executable, __file__, "--serve", "--delay", str(delay)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code, the object that `--json` prints, its messages, and what the server counted."""

    exit_code: int
    summary: dict[str, Any]
    messages: str
    counts: dict[str, Any]


def run(address: str, out: Path, cache: Path, arguments: argparse.Namespace) -> Outcome:
    """Run zero-shot on the examples, in a process of its own."""
    plan = ["--method", "zero-shot", "--task", "LaMP-7", "--limit", str(arguments.examples), "--no-swap", "--json"]
    server = ["--base-model", "openai:m", "--base-url", f"{address}/v1", "--concurrency", str(arguments.concurrency)]
    command = [sys.executable, "-m", "rpobench", "run", *plan, *server, "--out", str(out)]
    environment = {**os.environ, "RPOBENCH_CACHE": str(cache)}

    process = subprocess.run(command, capture_output=True, text=True, env=environment)

    with urllib.request.urlopen(f"{address}/report") as response:
        counts = json.load(response)
    summary = json.loads(process.stdout)[0] if process.stdout else {}
    return Outcome(process.returncode, summary, process.stderr, counts)


def main() -> None:
    """Print figures, each with its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that the server takes for an answer")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.delay)
        return

    with tempfile.TemporaryDirectory() as folder, start_server(arguments.delay) as address:
        first = run(address, Path(folder) / "runs", Path(folder) / "cache", arguments)
        second = run(address, Path(folder) / "runs", Path(folder) / "empty-cache", arguments)
    print_figures(first, second, arguments)


def print_figures(first: Outcome, second: Outcome, arguments: argparse.Namespace) -> None:
    """Print what both runs cost and how they ended."""
    counts, prompts = first.counts, first.counts["prompts"]
    without_empties = counts["requests"] - counts["empty answers"] + round(EMPTY / 100 * prompts)
    ideal = counts["requests"] / arguments.concurrency * arguments.delay

    if first.exit_code:
        print(first.messages)
    print(f"exit codes {first.exit_code} and {second.exit_code}; {counts}")
    print(f"examples {first.summary['n']}, unanswered {len(first.summary['unanswered'])}, all listed by id")
    print(f"the second run has the same table: {first.summary == second.summary}")
    print(f"and asks {second.counts['requests'] - counts['requests']} more")
    print(f"requests without retries of empties: {without_empties / prompts:.3f} a prompt (at most 1.15)")
    print(f"{counts['seconds']:.2f} s, ideal {ideal:.2f} s: {ideal / counts['seconds']:.2f} (at least 0.90)")


if __name__ == "__main__":
    main()
