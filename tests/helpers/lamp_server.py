"""A real server on this machine that serves LaMP's paths and misbehaves as told, counting each fault it served."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rpobench import get_task
from rpobench.data.download.files import download

PAGE = b"<!DOCTYPE html>\n<html><body>" + b"Page not found " * 1100 + b"</body></html>"  # 16 KB, status 200
TASK = get_task("LaMP-3")


def question(key: int, words: int = 3, **fields: str) -> dict[str, Any]:
    item = {"id": f"p{key}", **(fields or {"text": "book " * words, "score": "4"})}
    return {"id": str(key), "input": f"What is the score of the following review: text {key}", "profile": [item]}


def questions(count: int = 4, words: int = 3, **fields: str) -> bytes:
    return json.dumps([question(key, words, **fields) for key in range(count)]).encode()


def outputs(count: int = 4, name: str = "LaMP_3", answer: str = "5") -> bytes:
    golds = [{"id": str(key), "output": answer} for key in range(count)]
    return json.dumps({"task": name, "golds": golds}).encode()


class Server(ThreadingHTTPServer):
    """`files` by path; `faults` by path, each served once in order; `served` counts the faults that were."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.served: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []  # path and range
        self.versions, self.ranges, self.lengths = True, True, True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/downloads/LaMP"

    def put(self, path: str, content: bytes) -> None:
        self.files[f"/downloads/LaMP/{path}"] = content

    def fail(self, path: str, *faults: str) -> None:
        self.faults[f"/downloads/LaMP/{path}"] = list(faults)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append((self.path, asked))
        waiting = self.server.faults.get(self.path, [])
        fault = waiting.pop(0) if waiting else ""
        if fault:
            self.server.served[fault] += 1
        content = self.server.files.get(self.path)
        if fault in ("500", "503", "403", "429") or (content is None and not fault):
            self.reply(int(fault or 404), b"no")
        elif fault == "redirect":
            self.reply(302, b"", Location=self.path.replace("/downloads/", "/moved/"))
        elif fault == "html":
            self.reply(200, PAGE)
        else:
            self.file(content or b"", asked, fault)

    def file(self, content: bytes, asked: str, fault: str) -> None:
        start = 0
        headers = {"ETag": f'"{hash(content)}"'} if self.server.versions else {}
        fresh = self.headers.get("If-Range") in (None, headers.get("ETag"))
        if asked and self.server.ranges and fresh:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.reply(416, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body, rest = content[start:], len(content) - start
        sent = {"cut": body[: rest // 2], "cut at once": b"", "slow": body[: rest // 2]}.get(fault, body)
        told = {"too long": rest + 9, "too short": rest // 2}.get(fault, rest)
        if self.server.lengths:
            headers["Content-Length"] = str(told)
        self.close_connection = True
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent[:told])
        if fault == "slow":
            self.wfile.flush()
            time.sleep(20)

    def reply(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running() -> Iterator[Server]:
    """A server that listens until the block ends."""
    made = Server()
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def lamp3(server: Server, count: int = 4, words: int = 3) -> None:
    server.put("LaMP_3/dev/dev_questions.json", questions(count, words))
    server.put("LaMP_3/dev/dev_outputs.json", outputs(count))


def get(server: Server, out: Path, *, name: str = "LaMP-3", split: str = "dev", data: str = "lamp-user") -> None:
    download([get_task(name)], split.split(","), data, out, mirror=server.base)


def names(folder: Path) -> set[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.endswith(".lock")}


DEV = {"LaMP_3/dev_questions.json", "LaMP_3/dev_outputs.json", "manifest.json"}
QUESTIONS = "LaMP_3/dev/dev_questions.json"
