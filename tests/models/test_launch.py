"""`--serve`: a server that is started for a run, waited for, and stopped with all its children."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_server
import psutil
import pytest
from chat_server import KEY
from command_line import MAIN, run_rpobench

import rpobench
from rpobench.models.served import launch, supervisor
from rpobench.models.served.launch import LaunchedServer
from rpobench.models.served.supervisor import ServerLog, find_secrets
from rpobench.types import RpobenchError

COUNT = 6


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("rpobench.models.served.launch.PAUSE", 0.05)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.002)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where fake servers note their processes and the chats that they were asked."""
    notes = tmp_path / "notes"
    notes.mkdir()
    return notes


def command(folder: Path, *modes: str) -> str:
    return shlex.join([sys.executable, fake_server.__file__, "PORT", str(folder), *modes]).replace("PORT", "{port}")


def plan(folder: Path, out: Path, *modes: str, **options: Any) -> dict[str, Any]:
    values = {"method": "zero-shot", "task": "LaMP-7", "limit": COUNT, "swap": False, "out": out, "concurrency": 2}
    return {**values, "base_model": "openai:tiny", "serve": command(folder, *modes), **options}


def read_processes(folder: Path) -> dict[int, str]:
    """The processes that a fake server ever had, by id."""
    return {int(file.name): file.read_text() for file in folder.iterdir() if file.name.isdigit()}


def count_chats(folder: Path) -> int:
    file = folder / "asked"
    return len(file.read_text().splitlines()) if file.exists() else 0


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def are_gone(folder: Path) -> bool:
    return not any(psutil.pid_exists(pid) for pid in read_processes(folder))


def test_a_server_runs_for_the_run_and_no_longer(folder: Path, tmp_path: Path) -> None:
    (run_object,) = rpobench.run(**plan(folder, tmp_path / "runs"))

    assert run_object["failed"] == 0 and count_chats(folder) == COUNT
    assert list(read_processes(folder).values()) == ["server"]
    assert are_gone(folder)


def test_a_second_run_finds_the_answers_and_starts_nothing(folder: Path, tmp_path: Path) -> None:
    (first,) = rpobench.run(**plan(folder, tmp_path / "first"))
    (again,) = rpobench.run(**plan(folder, tmp_path / "first"))
    (elsewhere,) = rpobench.run(**plan(folder, tmp_path / "second"))

    assert len(read_processes(folder)) == 1 and count_chats(folder) == COUNT
    assert again["run"] == first["run"] and elsewhere["metrics"] == first["metrics"]


def test_the_command_names_the_model_and_the_port_does_not(folder: Path) -> None:
    first, second = (rpobench.get_model("openai:tiny", serve=command(folder)) for _ in range(2))
    other = rpobench.get_model("openai:tiny", serve=command(folder, "slow"))

    assert first.inner.server.port != second.inner.server.port
    assert first.identity == second.identity == f"openai:tiny@serve:{command(folder)}"
    assert other.identity != first.identity


def test_an_estimate_starts_nothing(folder: Path, tmp_path: Path) -> None:
    arguments = ["--method", "zero-shot", "--task", "LaMP-7", "--limit", "2", "--base-model", "openai:tiny"]

    done = run_rpobench("run", *arguments, "--serve", command(folder), "--out", tmp_path / "runs", "--dry-run")

    assert done.returncode == 0 and done.stdout.startswith("estimate: ")
    assert not read_processes(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "no-such"}, "no-such"),
        ({"base_model": "scripted:echo", "concurrency": None}, "--serve: base model 'scripted' has no such option"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "--serve and --base-url: .*leave one out"),
        ({"serve": "vllm serve tiny"}, r"--serve vllm serve tiny: has no \{port\}"),
        ({"serve": None, "serve_wait": 5}, "--serve-wait: there is no server"),
        ({"serve_wait": 0}, "--serve-wait 0: "),
    ],
)
def test_a_wrong_plan_starts_nothing(folder: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RpobenchError, match=message):
        rpobench.run(**plan(folder, tmp_path / "runs", **options))

    assert not read_processes(folder)


@pytest.mark.parametrize(
    "text",
    [
        "vllm serve --api-key abc-123-def --port {port}",
        "VLLM_API_KEY=abc-123-def vllm serve --port {port}",
        "vllm serve --hf-token='hf_0123456789' --port {port}",
        f"vllm serve --foo {KEY} --port {{port}}",
    ],
)
def test_a_command_with_a_key_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    with pytest.raises(RpobenchError, match="the command holds a key") as error:
        LaunchedServer(text)

    assert not re.search("abc-123-def|hf_0123456789|quite-secret", str(error.value))


@pytest.mark.parametrize(
    "text",
    [
        "vllm serve --api-key $OPENAI_API_KEY --port {port}",
        'VLLM_API_KEY="$OPENAI_API_KEY" vllm serve --max-num-batched-tokens 16384 --port {port}',
        "vllm serve --api-key none --ssl-keyfile /etc/some/file --port {port}",
    ],
)
def test_a_command_that_refers_to_a_key_is_taken(text: str) -> None:
    assert LaunchedServer(text).name == f"serve:{text}"


def test_a_server_that_dies_shows_its_last_lines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()

    with pytest.raises(RpobenchError, match=r"ended with exit code 3 \(its last line: CUDA out of memory\); .*\.log"):
        rpobench.run(**plan(folder, tmp_path / "runs", "dies"))

    assert time.monotonic() - start < 30, "at once, not at the end of --serve-wait"
    assert "--serve: | loading the model\n--serve: | CUDA out of memory\n" in capsys.readouterr().err


def test_a_command_that_does_not_exist_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match=r"exit code 127 .*no-such-server.*not found"):
        rpobench.run(**plan(folder, tmp_path / "runs", serve="no-such-server --port {port}"))


def test_a_server_that_hangs_is_given_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "PROBE_WAIT", 0.3)
    monkeypatch.setattr(launch, "NOTICE", 0.5)

    with pytest.raises(
        RpobenchError, match=r"no answer of http://127.0.0.1:\d+/v1/models within 1.5 s \(.*--serve-wait"
    ):
        rpobench.run(**plan(folder, tmp_path / "runs", "hangs", serve_wait=1.5))

    progress = "--serve: no answer after 1 s of at most 1.5 (its last line: loading the model)"
    assert progress in capsys.readouterr().err
    assert are_gone(folder)


def test_a_slow_server_is_waited_for(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_object,) = rpobench.run(**plan(folder, tmp_path / "runs", "slow"))

    assert run_object["failed"] == 0
    assert "--serve: the server answers after 2 s" in capsys.readouterr().err


def test_children_that_left_the_group_and_ignore_the_end_are_ended(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_grace(tmp_path, monkeypatch)

    rpobench.run(**plan(folder, tmp_path / "runs", "child", "stubborn"))

    assert sorted(read_processes(folder).values()) == ["child", "server"]
    assert are_gone(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no subreaper")
def test_orphans_of_a_server_that_died_are_ended(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="exit code 3"):
        rpobench.run(**plan(folder, tmp_path / "runs", "child", "dies"))

    assert sorted(read_processes(folder).values()) == ["child", "server"]
    assert wait_until(lambda: are_gone(folder))


def shorten_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers have half a second to end, not ten: the supervisor is another process, so it gets another file."""
    source = Path(supervisor.__file__).read_text()
    hasty = tmp_path / "hasty_supervisor.py"
    hasty.write_text(source.replace(f"GRACE = {supervisor.GRACE}", "GRACE = 0.5"))
    monkeypatch.setattr(supervisor, "__file__", str(hasty))


def test_a_server_that_dies_during_the_run_is_the_error(folder: Path, tmp_path: Path) -> None:
    options = plan(folder, tmp_path / "runs", "dies-later", limit=40)

    with pytest.raises(
        RpobenchError, match=r"exit code 7 \(its last line: out of memory, they say\).*answered is kept"
    ):
        rpobench.run(**options)


def test_an_error_of_a_run_stops_the_server(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="--max-cost"):
        rpobench.run(**plan(folder, tmp_path / "runs", "child", price="9,9", max_cost=1e-9))

    assert "server" in read_processes(folder).values() and are_gone(folder)


@pytest.mark.parametrize(
    ("number", "modes"),
    [(signal.SIGINT, ("child",)), (signal.SIGTERM, ()), (signal.SIGKILL, ()), (signal.SIGKILL, ("child", "hangs"))],
)
def test_a_run_that_is_killed_leaves_no_server(
    folder: Path, tmp_path: Path, number: signal.Signals, modes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", "--method", "zero-shot", "--task", "LaMP-7", "--limit", "4", "--base-model", "openai:tiny"]
    arguments += ["--serve", command(folder, "slow", *modes), "--out", str(tmp_path / "runs")]
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "

    program = [sys.executable, "-c", listen + MAIN, *arguments]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert wait_until(lambda: len(read_processes(folder)) == 1 + ("child" in modes)), "no server"
        os.killpg(run.pid, number)  # to the whole group, as a terminal does
        _, error_text = run.communicate(timeout=60)

    assert wait_until(lambda: are_gone(folder)), read_processes(folder)
    if number == signal.SIGINT:
        assert error_text.splitlines()[-1] == "rpobench: stopped; the same command continues where it was"


def test_a_killed_supervisor_takes_the_server_with_it(folder: Path) -> None:
    server = LaunchedServer(command(folder))
    server.start()
    assert server._supervisor is not None

    server._supervisor.kill()
    server._supervisor.wait()
    with pytest.raises(RpobenchError, match="the server ended with exit code -9"):
        server.check_alive()
    server.stop()

    assert wait_until(lambda: are_gone(folder))


def test_output_without_end_fills_no_disk(folder: Path, tmp_path: Path) -> None:
    rpobench.run(**plan(folder, tmp_path / "runs", "floods"))

    (log,) = tmp_path.glob("rpobench-serve-*.log")
    lines = log.read_text().splitlines()
    assert log.stat().st_size < 9 << 20 and lines[0] == "[earlier output is left out]"
    assert lines[-1] == "the last line"


def test_a_full_log_begins_anew_with_its_last_lines() -> None:
    file = io.BytesIO()
    log = ServerLog(file, {}, limit=2000)

    for number in range(1000):
        log.write(b"line %d\n" % number)

    lines = file.getvalue().decode().splitlines()
    assert len(file.getvalue()) <= 2000 and lines[-1] == "line 999"
    assert lines[0] == "[earlier output is left out]" and len(lines) > supervisor.TAIL


def test_a_server_gets_the_key_and_its_log_does_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    rpobench.run(**plan(folder, tmp_path / "runs", "leaks", "locked"))

    (log,) = tmp_path.glob("rpobench-serve-*.log")
    assert "the key is [OPENAI_API_KEY]" in log.read_text()
    for file in (log, *(tmp_path / "runs").rglob("*"), *(tmp_path / "cache").rglob("*")):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def test_secrets_are_known_by_the_names_of_their_variables() -> None:
    variables = {
        "HF_TOKEN": "hf_0123456789",
        "MY_API_KEY": "short",
        "HOME": "/home/somebody",
        "db_password": "12345678",
    }

    assert find_secrets(variables) == {"hf_0123456789": "HF_TOKEN", "12345678": "db_password"}


def test_a_proxy_is_not_between_a_run_and_its_server(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    (run_object,) = rpobench.run(**plan(folder, tmp_path / "runs"))

    assert run_object["failed"] == 0


def test_a_stored_run_names_the_command(folder: Path, tmp_path: Path) -> None:
    (run_object,) = rpobench.run(**plan(folder, tmp_path / "runs"))

    spec = json.loads((tmp_path / "runs" / run_object["run"] / "spec.json").read_text())
    assert spec["base_model"] == f"openai:tiny@serve:{command(folder)}"
    assert "127.0.0.1" not in json.dumps(spec)


def test_the_log_is_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    rpobench.run(**plan(folder, tmp_path / "runs"))

    (log,) = tmp_path.glob("rpobench-serve-*.log")
    assert os.stat(log).st_mode & 0o077 == 0
