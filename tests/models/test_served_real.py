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

import psutil
import pytest

import rpobench
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.served.openai import ServedModel
from rpobench.models.served.options import ServedOptions
from rpobench.types import Decoding, Message, RpobenchError

pytestmark = pytest.mark.slow

WAIT = 180  # seconds until the model is loaded, on a busy machine


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended by itself"
        try:
            with urlopen(f"{url}/models", timeout=5) as response:
                assert response.status == 200
                return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"no server within {WAIT} s")


class RealServer:
    """Where it listens, and how many chats it has logged."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    def count_requests(self) -> int:
        return self._log.read_text().count('"POST /v1/chat/completions')


@pytest.fixture(scope="module")
def server(embedded_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    home = tmp_path_factory.mktemp("hub")
    (home / "hub").mkdir()  # without it the server's list of models is an error
    port, log = free_port(), home / "log"
    url = f"http://127.0.0.1:{port}/v1"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(embedded_checkpoint)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}

    with (
        log.open("wb") as sink,
        subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT) as process,
    ):
        try:
            wait_until_up(url, process)
            yield RealServer(url, log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(server: RealServer, folder: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    plan = {
        "method": "zero-shot",
        "task": "LaMP-3,LaMP-7",
        "limit": 2,
        "out": out,
        "base_model": f"openai:{folder}?deadline=600",
        "base_url": server.url,
        "concurrency": 2,
    }
    return rpobench.run(**{**plan, **options})


def test_a_run_and_the_same_again(server: RealServer, embedded_checkpoint: Path, tmp_path: Path) -> None:
    first_results = run(server, embedded_checkpoint, tmp_path / "first")
    assert server.count_requests() == 4 and [result["n"] for result in first_results] == [2, 2]
    for result in first_results:
        stored = json.loads((tmp_path / "first" / result["run"] / "result.json").read_text())
        assert stored["unanswered"] == 0
        assert stored["usage"]["prompt_tokens"] > 30 and stored["usage"]["completion_tokens"] > 0

    second_results = run(server, embedded_checkpoint, tmp_path / "second")
    assert server.count_requests() == 4, "by the server's own count"
    assert [result["metrics"] for result in second_results] == [result["metrics"] for result in first_results]

    brief = f"openai:{embedded_checkpoint}?system=Be+brief"
    run(server, embedded_checkpoint, tmp_path / "third", base_model=brief)
    assert server.count_requests() == 8


def test_greedy_answers_are_the_local_models(server: RealServer, embedded_checkpoint: Path) -> None:
    questions = [f"What is the capital of {country}? Answer in one word." for country in ("France", "Italy")]
    chats = [(Message("user", question),) for question in questions]

    options = ServedOptions(deadline=600)
    served = ServedModel(str(embedded_checkpoint), base_url=server.url, options=options).generate(chats, Decoding(8))
    local = TransformersModel(embedded_checkpoint).generate(chats, Decoding(8))

    assert [completion.text.strip() for completion in served] == [completion.text.strip() for completion in local]
    served_tokens = [completion.usage.prompt_tokens for completion in served]
    assert served_tokens == [completion.usage.prompt_tokens for completion in local]


def test_a_run_starts_the_server_and_stops_it(
    embedded_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hub").mkdir()
    checkpoint = tmp_path / "model"  # a name that no other process has in its arguments
    checkpoint.symlink_to(embedded_checkpoint)

    program = f"HF_HOME={tmp_path} HF_HUB_OFFLINE=1 {sys.executable} -m transformers.cli.transformers"
    command = f"{program} serve {checkpoint} --host 127.0.0.1 --port {{port}}"
    model = f"openai:{checkpoint}?deadline=600"
    plan = {"method": "zero-shot", "task": "LaMP-7", "limit": 2, "base_model": model}

    (first,) = rpobench.run(**plan, out=tmp_path / "first", serve=command)
    assert first["n"] == 2 and first["failed"] == 0
    assert "the server answers" in capsys.readouterr().err
    assert not [process for process in psutil.process_iter() if str(checkpoint) in " ".join(_arguments(process))]

    (second,) = rpobench.run(**plan, out=tmp_path / "second", serve=command)
    assert second["metrics"] == first["metrics"]
    assert "starting the server" not in capsys.readouterr().err, "the cache knew the answers, whatever the port was"


def _arguments(process: psutil.Process) -> list[str]:
    try:
        arguments: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return arguments


def test_an_unknown_model_is_one_line(server: RealServer) -> None:
    model = ServedModel("no/such", base_url=server.url)

    with pytest.raises(RpobenchError, match=r"openai:no/such at http.*refuses the request .*no/such") as error:
        model.generate([(Message("user", "hi"),)], Decoding(4))

    assert "\n" not in str(error.value)
