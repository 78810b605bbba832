"""A real server, `transformers serve` with the embedded model, started here and stopped after the tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import rpobench
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.served.openai import ServedModel
from rpobench.types import Decoding, Message, RpobenchError

pytestmark = pytest.mark.slow

WAIT = 180  # seconds until the model is loaded, on a busy machine


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended by itself"
        try:
            with urlopen(f"{url}/models", timeout=5) as answer:
                assert answer.status == 200
                return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"no server within {WAIT} s")


class RealServer:
    """Where it listens, and how many chats it says it was asked."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    def asked(self) -> int:
        return self._log.read_text().count('"POST /v1/chat/completions')


@pytest.fixture(scope="module")
def server(embedded_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    home = tmp_path_factory.mktemp("hub")
    (home / "hub").mkdir()  # without it the server's list of models is an error
    port, log = free_port(), home / "log"
    url = f"http://127.0.0.1:{port}/v1"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(embedded_checkpoint)]
    with log.open("wb") as sink, subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}, stdout=sink, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        try:
            wait_until_up(url, running)
            yield RealServer(url, log)
        finally:
            running.terminate()
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(server: RealServer, folder: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    given = {"method": "zero-shot", "task": "LaMP-3,LaMP-7", "limit": 2, "out": out, "base_url": server.url}
    return rpobench.run(**{**given, "base_model": f"openai:{folder}?deadline=600", "concurrency": 2, **options})


def test_a_run_and_the_same_again(server: RealServer, embedded_checkpoint: Path, tmp_path: Path) -> None:
    first = run(server, embedded_checkpoint, tmp_path / "one")
    assert server.asked() == 4 and [one["n"] for one in first] == [2, 2]
    for one in first:
        kept = json.loads((tmp_path / "one" / one["run"] / "result.json").read_text())
        assert (
            kept["unanswered"] == 0 and kept["usage"]["prompt_tokens"] > 30 and kept["usage"]["completion_tokens"] > 0
        )
    again = run(server, embedded_checkpoint, tmp_path / "two")
    assert server.asked() == 4, "by the server's own count"
    assert [one["metrics"] for one in again] == [one["metrics"] for one in first]
    run(server, embedded_checkpoint, tmp_path / "three", base_model=f"openai:{embedded_checkpoint}?system=Be+brief")
    assert server.asked() == 8


def test_greedy_answers_are_the_local_models(server: RealServer, embedded_checkpoint: Path) -> None:
    chats = [(Message("user", f"What is the capital of {land}? Answer in one word."),) for land in ("France", "Italy")]
    served = ServedModel(str(embedded_checkpoint), base_url=server.url, deadline=600).generate(chats, Decoding(8))
    local = TransformersModel(embedded_checkpoint).generate(chats, Decoding(8))
    assert [one.text.strip() for one in served] == [one.text.strip() for one in local]
    assert [one.usage.prompt_tokens for one in served] == [one.usage.prompt_tokens for one in local]


def test_an_unknown_model_is_one_line(server: RealServer) -> None:
    with pytest.raises(RpobenchError, match=r"openai:no/such at http.*refuses the request .*no/such") as error:
        ServedModel("no/such", base_url=server.url).generate([(Message("user", "hi"),)], Decoding(4))
    assert "\n" not in str(error.value)
