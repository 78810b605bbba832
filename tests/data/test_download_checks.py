"""`rpobench data download`: what is no official file, what changed later, what is somebody else's, what was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lamp_server import (
    DEV,
    QUESTIONS,
    TASK,
    LampServer,
    download_split,
    list_files,
    make_outputs,
    make_questions,
    serve_lamp3,
)
from typer.testing import CliRunner

from rpobench.cli.data import app
from rpobench.data.official.folder import load_official
from rpobench.types import RpobenchError

WRONG: dict[str, tuple[bytes, bytes, str]] = {
    "an object": (b'{"a": [1]}', make_outputs(), "ends before its list"),
    "a list of words": (b'["a", "b"]', make_outputs(), "record 0: expected an object with 'id', 'input' and a list"),
    "an empty list": (b"[]", make_outputs(), "record 0: expected an object"),
    "no JSON": (b"\x00\x01]", make_outputs(), "expected a list"),
    "another task": (make_questions(title="t", abstract="a"), make_outputs(), "a profile item with 'score', 'text'"),
    "outputs of another task": (make_questions(), make_outputs(name="LaMP_4"), "is for task 'LaMP_4'"),
    "outputs without records": (make_questions(), make_outputs(0), "holds no record"),
    "torn outputs": (make_questions(), make_outputs()[:-9], "broken or truncated JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_official_file_is_discarded(lamp_server: LampServer, tmp_path: Path, name: str) -> None:
    question_bytes, output_bytes, message = WRONG[name]
    lamp_server.put("LaMP_3/dev/dev_questions.json", question_bytes)
    lamp_server.put("LaMP_3/dev/dev_outputs.json", output_bytes)

    with pytest.raises(RpobenchError, match=r"no whole file of LaMP-3 and is discarded") as caught:
        download_split(lamp_server, tmp_path)

    part = "questions" if output_bytes == make_outputs() else "outputs"
    assert message in str(caught.value) and f"{lamp_server.base}/LaMP_3/dev/dev_{part}.json" in str(caught.value)
    assert list_files(tmp_path) == (set() if part == "questions" else DEV - {"LaMP_3/dev_outputs.json"})


def test_a_file_that_is_there_is_checked_and_not_fetched(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    download_split(lamp_server, tmp_path)
    download_split(lamp_server, tmp_path)

    assert len(lamp_server.requests) == 2

    file = tmp_path / "LaMP_3" / "dev_questions.json"
    status = file.stat()
    file.write_bytes(make_questions().replace(b"book", b"cook"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(RpobenchError, match=r"dev_questions.json: was changed since its download: sha256"):
        download_split(lamp_server, tmp_path)


def test_a_changed_file_is_not_loaded(lamp_server: LampServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_lamp3(lamp_server)
    download_split(lamp_server, tmp_path)

    for part in ("questions", "outputs"):
        file = tmp_path / "LaMP_3" / f"dev_{part}.json"
        content = file.read_bytes()
        file.write_bytes(content.replace(b'"id"', b' "id"', 1))
        with pytest.raises(RpobenchError, match=rf"dev_{part}.json: was changed since its download"):
            load_official(TASK, tmp_path, "dev")
        monkeypatch.chdir(tmp_path / "LaMP_3")
        with pytest.raises(RpobenchError, match="was changed"):
            load_official(TASK, Path("."), "dev")
        file.write_bytes(content)
        assert len(load_official(TASK, tmp_path, "dev").labelled) == 4


def test_a_server_whose_file_changed_later_is_told(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    download_split(lamp_server, tmp_path)
    (tmp_path / "LaMP_3" / "dev_questions.json").unlink()
    serve_lamp3(lamp_server, words=9)

    with pytest.raises(RpobenchError, match="the server's file is another now") as caught:
        download_split(lamp_server, tmp_path)
    assert f"{lamp_server.base}/{QUESTIONS}" in str(caught.value)
    assert list_files(tmp_path) == DEV - {"LaMP_3/dev_questions.json"}


def test_files_and_manifests_of_others_are_left_alone(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    (tmp_path / "LaMP_3").mkdir()
    (tmp_path / "LaMP_3" / "dev_questions.json").write_text("mine")

    with pytest.raises(RpobenchError, match=r"stands already and manifest\.json does not know it"):
        download_split(lamp_server, tmp_path)
    assert (tmp_path / "LaMP_3" / "dev_questions.json").read_text() == "mine"

    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(RpobenchError, match=r"manifest.json: no manifest of"):
        download_split(lamp_server, tmp_path)

    for part, content in (("questions", make_questions()), ("outputs", make_outputs())):
        (tmp_path / "LaMP_3" / f"dev_{part}.json").write_bytes(content)
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 4, "another program's manifest is no fault of a run's"


def test_one_folder_holds_one_kind_of_split(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    download_split(lamp_server, tmp_path)
    with pytest.raises(RpobenchError, match=r"manifest.json: holds lamp-user: use another --out for lamp-time"):
        download_split(lamp_server, tmp_path, data="lamp-time")


@pytest.mark.parametrize(
    ("option", "value"), [("data", "lamp"), ("split", "dev,all"), ("mirror", "ftp://x"), ("task", "LaMP-9")]
)
def test_a_wrong_option_is_named(tmp_path: Path, option: str, value: str) -> None:
    options = {"data": "lamp-user", "split": "dev", "mirror": "http://127.0.0.1:9", "task": "LaMP-3", option: value}
    words = [word for name, text in options.items() for word in (f"--{name}", text)]
    done = CliRunner().invoke(app, ["download", *words, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, RpobenchError) and value.split(",")[-1] in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_two_downloads_into_one_folder_do_not_mix(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "slow")
    with killed_after_start(lamp_server, tmp_path), pytest.raises(RpobenchError, match="another download is running"):
        download_split(lamp_server, tmp_path)


def test_a_killed_download_leaves_no_final_name_and_goes_on(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "slow")
    with killed_after_start(lamp_server, tmp_path):
        pass

    assert list_files(tmp_path) == {f"LaMP_3/dev_questions.json.part{end}" for end in ("", "-origin")}

    download_split(lamp_server, tmp_path)
    assert lamp_server.served == {"slow": 1} and lamp_server.requests[1][1].startswith("bytes=")
    assert list_files(tmp_path) == DEV and len(load_official(TASK, tmp_path, "dev").labelled) == 40


@contextmanager
def killed_after_start(lamp_server: LampServer, out: Path) -> Iterator[None]:
    """A download in a process of its own, killed at the end of the block; it has begun when the block begins."""
    words = ["download", "--task", "LaMP-3", "--split", "dev", "--out", str(out), "--mirror", lamp_server.base]
    code = f"from rpobench.cli.data import app\napp({words!r})"

    with subprocess.Popen([sys.executable, "-c", code]) as process:
        part = out / "LaMP_3" / "dev_questions.json.part"
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            assert part.exists() and process.poll() is None, "the download never began"
            yield
        finally:
            process.send_signal(signal.SIGKILL)
