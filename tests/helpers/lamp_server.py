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


def make_question(key: int, words: int = 3, **fields: str) -> dict[str, Any]:
    item = {"id": f"p{key}", **(fields or {"text": "book " * words, "score": "4"})}
    return {"id": str(key), "input": f"What is the score of the following review: text {key}", "profile": [item]}


def make_questions(count: int = 4, words: int = 3, **fields: str) -> bytes:
    return json.dumps([make_question(key, words, **fields) for key in range(count)]).encode()


def make_outputs(count: int = 4, name: str = "LaMP_3", answer: str = "5") -> bytes:
    golds = [{"id": str(key), "output": answer} for key in range(count)]
    return json.dumps({"task": name, "golds": golds}).encode()


class LampServer(ThreadingHTTPServer):
    """`files` by path; `faults` by path, each served once in order; `served` counts the faults that were."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), LampHandler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.served: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []  # path and range
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


class LampHandler(BaseHTTPRequestHandler):
    """Answers with a file, or with the fault that is due for its path."""

    server: LampServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        byte_range = self.headers.get("Range", "")
        self.server.requests.append((self.path, byte_range))

        due_faults = self.server.faults.get(self.path, [])
        fault = due_faults.pop(0) if due_faults else ""
        if fault:
            self.server.served[fault] += 1

        content = self.server.files.get(self.path)

        if fault in ("500", "503", "403", "429") or (content is None and not fault):
            self.send_body(int(fault or 404), b"no")
        elif fault == "redirect":
            self.send_body(302, b"", Location=self.path.replace("/downloads/", "/moved/"))
        elif fault == "html":
            self.send_body(200, PAGE)
        else:
            self.send_file(content or b"", byte_range, fault)

    def send_file(self, content: bytes, byte_range: str, fault: str) -> None:
        start = 0
        headers = {"ETag": f'"{hash(content)}"'} if self.server.versions else {}
        is_fresh = self.headers.get("If-Range") in (None, headers.get("ETag"))

        if byte_range and self.server.ranges and is_fresh:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_body(416, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"

        body, rest = content[start:], len(content) - start
        body_sent = {"cut": body[: rest // 2], "cut at once": b"", "slow": body[: rest // 2]}.get(fault, body)
        length = {"too long": rest + 9, "too short": rest // 2}.get(fault, rest)
        if self.server.lengths:
            headers["Content-Length"] = str(length)

        self.close_connection = True
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body_sent[:length])

        if fault == "slow":
            self.wfile.flush()
            time.sleep(20)

    def send_body(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def run_lamp_server() -> Iterator[LampServer]:
    """A server that listens until the block ends."""
    server = LampServer()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def serve_lamp3(server: LampServer, count: int = 4, words: int = 3) -> None:
    server.put("LaMP_3/dev/dev_questions.json", make_questions(count, words))
    server.put("LaMP_3/dev/dev_outputs.json", make_outputs(count))


def download_split(
    server: LampServer, out: Path, *, name: str = "LaMP-3", split: str = "dev", data: str = "lamp-user"
) -> None:
    download([get_task(name)], split.split(","), data, out, mirror=server.base)


def list_files(folder: Path) -> set[str]:
    paths = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in paths if not name.endswith(".lock")}


DEV = {"LaMP_3/dev_questions.json", "LaMP_3/dev_outputs.json", "manifest.json"}
QUESTIONS = "LaMP_3/dev/dev_questions.json"
