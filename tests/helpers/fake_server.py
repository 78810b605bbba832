"""A small chat server as a command: `python fake_server.py PORT FOLDER [MODE ...]`, which misbehaves as told.

In FOLDER stands a file `PID` for each of its processes, whose text is `server` or `child`, and `asked`, a line a chat.

Modes: `dies` before it listens; `hangs`: takes connections and never answers; `slow`: 503 for two seconds first;
`child`: has a child in a session of its own; `stubborn`: it and the child ignore SIGTERM; `floods`: prints 20 MB;
`leaks`: prints its environment's key; `dies-later`: ends at the third chat; `locked`: wants the key.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STARTED = time.monotonic()
SLOW = 2.0


class Handler(BaseHTTPRequestHandler):
    """Lists one model, and answers every chat with the same word."""

    def do_GET(self) -> None:
        if "slow" in modes and time.monotonic() < STARTED + SLOW:
            self._send(503, {"error": "loading"})
        elif "locked" in modes and self.headers["Authorization"] != f"Bearer {os.environ['OPENAI_API_KEY']}":
            self._send(401, {"error": "who are you?"})
        else:
            self._send(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with (folder / "asked").open("a") as file:
            file.write("chat\n")
        if "dies-later" in modes and len((folder / "asked").read_text().splitlines()) >= 3:
            print("out of memory, they say", flush=True)
            os._exit(7)

        message = {"role": "assistant", "content": "word"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._send(200, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def start_child() -> None:
    """A process that has left the group."""
    if os.fork():
        return

    os.setsid()
    (folder / str(os.getpid())).write_text("child")
    time.sleep(300)
    os._exit(0)


if __name__ == "__main__":
    port, folder, modes = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    (folder / str(os.getpid())).write_text("server")
    print("loading the model", flush=True)

    if "stubborn" in modes:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in modes:
        start_child()
    if "leaks" in modes:
        print("the key is", os.environ["OPENAI_API_KEY"], flush=True)
    if "floods" in modes:
        for number in range(200_000):
            print(f"line {number} {'x' * 90}")
        print("the last line", flush=True)
    if "dies" in modes:
        print("CUDA out of memory", file=sys.stderr, flush=True)
        sys.exit(3)
    if "hangs" in modes:
        listener = socket.create_server(("127.0.0.1", port))
        time.sleep(300)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
