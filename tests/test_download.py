"""`rpobench data download` against a real server on this machine that serves LaMP's paths and misbehaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.data import transfer
from rpobench.data.command import app
from rpobench.data.download import download
from rpobench.data.lamp import load_official
from rpobench.types import RpobenchError

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "BACKOFF", wait_none())
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


def test_a_split_arrives_whole_and_loads(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    get(server, tmp_path)
    assert names(tmp_path) == DEV
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 4
    pins = json.loads((tmp_path / "manifest.json").read_text())
    pin = pins["files"]["LaMP_3/dev_questions.json"]
    assert pins["data"] == "lamp-user" and len(pin["sha256"]) == 64
    assert pin["address"] == f"{server.base}/{QUESTIONS}" and pin["size"] == len(questions())
    assert server.asked == [(f"/downloads/LaMP/LaMP_3/dev/dev_{part}.json", "") for part in ("questions", "outputs")]


@pytest.mark.parametrize(("data", "prefix"), [("lamp-user", ""), ("lamp-time", "time/")])
def test_movies_and_news_come_from_their_places_and_load(
    server: Server, tmp_path: Path, data: str, prefix: str
) -> None:
    movie, news = {"description": "d", "tag": "comedy"}, {"text": "t", "title": "h", "category": "crime"}
    for place, fields, answer in (("LaMP_2/new", movie, "classic"), ("LaMP_2", news, "sports")):
        server.put(f"{prefix}{place}/dev/dev_questions.json", questions(**fields))
        server.put(f"{prefix}{place}/dev/dev_outputs.json", outputs(name="LaMP_2", answer=answer))
    for name, answer in (("LaMP-2", "classic"), ("LaMP-2N", "sports")):
        get(server, tmp_path, name=name, data=data)
        assert load_official(get_task(name), tmp_path, "dev").labelled[0].target == answer


def test_test_has_questions_only(server: Server, tmp_path: Path) -> None:
    server.put("LaMP_3/test/test_questions.json", questions())
    get(server, tmp_path, split="test")
    assert names(tmp_path) == {"LaMP_3/test_questions.json", "manifest.json"} and len(server.asked) == 1


def test_of_the_licensed_task_only_ids_come_and_stand_apart(server: Server, tmp_path: Path) -> None:
    ids = [{"id": "1", "input": "001-000001-EM.txt", "profile": [{"id": "p", "text": "001-000002-EM.txt"}]}]
    server.put("LaMP_6/dev/dev_questions.json", json.dumps(ids).encode())
    done = CliRunner().invoke(
        app, ["download", "--task", "LaMP-6", "--split", "dev", "--out", str(tmp_path), "--mirror", server.base]
    )
    assert done.exit_code == 0, done.output
    assert "build-lamp6" in done.stderr and done.stdout == f"{tmp_path}\n"
    assert names(tmp_path) == {"LaMP_6-ids/dev_questions.json", "manifest.json"}


def test_all_is_the_seven_tasks_and_the_folder_is_named_as_the_data(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = {number: dict.fromkeys(get_task(f"LaMP-{number}").fields, "x") for number in range(1, 8)}
    for number, item in fields.items():
        place = "LaMP_2/new" if number == 2 else f"LaMP_{number}"
        server.put(f"time/{place}/test/test_questions.json", questions(**item))
    done = CliRunner().invoke(app, ["download", "--data", "lamp-time", "--split", "test", "--mirror", server.base])
    assert done.exit_code == 0, done.exception
    folders = [*(f"LaMP_{number}" for number in (1, 2, 3, 4, 5, 7)), "LaMP_6-ids"]
    assert names(tmp_path / "lamp-time") == {f"{name}/test_questions.json" for name in folders} | {"manifest.json"}


@pytest.mark.parametrize("versions", [True, False])
def test_a_cut_connection_goes_on_where_it_was(server: Server, tmp_path: Path, versions: bool) -> None:
    server.versions = versions
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "cut", "500", "cut", "cut at once", "503")
    get(server, tmp_path)
    assert server.served == {"cut": 2, "500": 1, "503": 1, "cut at once": 1}
    content = server.files[f"/downloads/LaMP/{QUESTIONS}"]
    assert (tmp_path / "LaMP_3/dev_questions.json").read_bytes() == content
    ranges = [int(asked[6:-1]) if asked else 0 for path, asked in server.asked if path.endswith("questions.json")]
    assert ranges[0] == 0 < ranges[1] == ranges[2] < ranges[3] == ranges[4] == ranges[5] and names(tmp_path) == DEV


def test_a_server_that_ignores_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "cut", "cut")
    get(server, tmp_path)
    assert server.served == {"cut": 2} and server.asked[1][1] != ""
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 40


def test_a_file_that_changed_between_two_attempts_is_not_patched(server: Server, tmp_path: Path) -> None:
    for server.versions in (True, False):
        out = tmp_path / str(server.versions)
        lamp3(server, count=40, words=5000)
        server.fail(QUESTIONS, *["cut", *["403"]])
        with pytest.raises(RpobenchError, match="answered 403"):
            get(server, out)
        assert names(out) == {f"LaMP_3/dev_questions.json.part{end}" for end in ("", "-origin")}
        lamp3(server, count=40, words=6000)
        get(server, out)
        assert (out / "LaMP_3/dev_questions.json").read_bytes() == questions(40, 6000)


def test_a_web_page_with_status_200_is_told_and_spares_what_has_arrived(server: Server, tmp_path: Path) -> None:
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "html", "cut", "html")
    for place in range(2):
        with pytest.raises(RpobenchError, match=rf"{QUESTIONS}: answered with a web page"):
            get(server, tmp_path)
        assert bool(list(tmp_path.rglob("*.part"))) is bool(place) and "manifest.json" not in names(tmp_path)
    get(server, tmp_path)
    assert server.served == {"html": 2, "cut": 1} and server.asked[3][1].startswith("bytes=")


def test_404_names_the_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError) as caught:
        get(server, tmp_path)
    assert f"{server.base}/{QUESTIONS}: not found (404)" in str(caught.value) and len(server.asked) == 1


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    server.files[f"/moved/LaMP/{QUESTIONS}"] = questions()
    server.fail(QUESTIONS, "redirect")
    get(server, tmp_path)
    assert server.served == {"redirect": 1} and names(tmp_path) == DEV


def test_a_length_that_is_too_long_is_tried_again(server: Server, tmp_path: Path) -> None:
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "too long")
    get(server, tmp_path)
    assert server.served == {"too long": 1} and len(load_official(TASK, tmp_path, "dev").labelled) == 40


@pytest.mark.parametrize("fault", ["too short", "cut"])
def test_half_a_file_that_the_server_calls_whole_is_discarded(server: Server, tmp_path: Path, fault: str) -> None:
    server.lengths = fault == "too short"
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, fault)
    with pytest.raises(RpobenchError, match="no whole file of LaMP-3 and is discarded"):
        get(server, tmp_path)
    assert server.served == {fault: 1} and names(tmp_path) == set()


def test_a_server_that_never_delivers_is_given_up_after_five_times(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    server.fail(QUESTIONS, *["500", "429"] * 9)
    with pytest.raises(RpobenchError, match=r"the server answered 500, 5 times without a new byte; what"):
        get(server, tmp_path)
    assert server.served == {"500": 3, "429": 2} and names(tmp_path) == set()


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF", wait_none())
    with pytest.raises(RpobenchError, match=r"dev_questions.json: connection cut or refused \(ConnectionError\)"):
        download([TASK], ["dev"], "lamp-user", tmp_path, mirror="http://127.0.0.1:9/LaMP")


WRONG: dict[str, tuple[bytes, bytes, str]] = {
    "an object": (b'{"a": [1]}', outputs(), "ends before its list"),
    "a list of words": (b'["a", "b"]', outputs(), "record 0: expected an object with 'id', 'input' and a list"),
    "an empty list": (b"[]", outputs(), "record 0: expected an object"),
    "no JSON": (b"\x00\x01]", outputs(), "expected a list"),
    "another task": (questions(title="t", abstract="a"), outputs(), "a profile item with 'score', 'text'"),
    "outputs of another task": (questions(), outputs(name="LaMP_4"), "is for task 'LaMP_4'"),
    "outputs without records": (questions(), outputs(0), "holds no record"),
    "torn outputs": (questions(), outputs()[:-9], "broken or truncated JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_official_file_is_discarded(server: Server, tmp_path: Path, name: str) -> None:
    asked, answered, message = WRONG[name]
    server.put("LaMP_3/dev/dev_questions.json", asked)
    server.put("LaMP_3/dev/dev_outputs.json", answered)
    with pytest.raises(RpobenchError, match=r"no whole file of LaMP-3 and is discarded") as caught:
        get(server, tmp_path)
    part = "questions" if answered == outputs() else "outputs"
    assert message in str(caught.value) and f"{server.base}/LaMP_3/dev/dev_{part}.json" in str(caught.value)
    assert names(tmp_path) == (set() if part == "questions" else DEV - {"LaMP_3/dev_outputs.json"})


def test_what_is_there_is_not_fetched_again_but_read_against_its_sum(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    get(server, tmp_path)
    get(server, tmp_path)
    assert len(server.asked) == 2
    file = tmp_path / "LaMP_3" / "dev_questions.json"
    told = file.stat()
    file.write_bytes(questions().replace(b"book", b"cook"))
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))
    with pytest.raises(RpobenchError, match=r"dev_questions.json: was changed since its download: sha256"):
        get(server, tmp_path)


def test_a_changed_file_is_not_loaded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lamp3(server)
    get(server, tmp_path)
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


def test_a_server_whose_file_changed_later_is_told(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    get(server, tmp_path)
    (tmp_path / "LaMP_3" / "dev_questions.json").unlink()
    lamp3(server, words=9)
    with pytest.raises(RpobenchError, match="the server's file is another now") as caught:
        get(server, tmp_path)
    assert f"{server.base}/{QUESTIONS}" in str(caught.value)
    assert names(tmp_path) == DEV - {"LaMP_3/dev_questions.json"}


def test_files_and_manifests_of_others_are_left_alone(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    (tmp_path / "LaMP_3").mkdir()
    (tmp_path / "LaMP_3" / "dev_questions.json").write_text("mine")
    with pytest.raises(RpobenchError, match=r"stands already and manifest\.json does not know it"):
        get(server, tmp_path)
    assert (tmp_path / "LaMP_3" / "dev_questions.json").read_text() == "mine"
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(RpobenchError, match=r"manifest.json: no manifest of"):
        get(server, tmp_path)
    for part, content in (("questions", questions()), ("outputs", outputs())):
        (tmp_path / "LaMP_3" / f"dev_{part}.json").write_bytes(content)
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 4, "another program's manifest is no fault of a run's"


def test_one_folder_holds_one_kind_of_split(server: Server, tmp_path: Path) -> None:
    lamp3(server)
    get(server, tmp_path)
    with pytest.raises(RpobenchError, match=r"manifest.json: holds lamp-user: use another --out for lamp-time"):
        get(server, tmp_path, data="lamp-time")


@pytest.mark.parametrize(
    ("option", "value"), [("data", "lamp"), ("split", "dev,all"), ("mirror", "ftp://x"), ("task", "LaMP-9")]
)
def test_a_wrong_option_is_named(tmp_path: Path, option: str, value: str) -> None:
    given = {"data": "lamp-user", "split": "dev", "mirror": "http://127.0.0.1:9", "task": "LaMP-3", option: value}
    words = [word for name, text in given.items() for word in (f"--{name}", text)]
    done = CliRunner().invoke(app, ["download", *words, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, RpobenchError) and value.split(",")[-1] in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_two_downloads_into_one_folder_do_not_mix(server: Server, tmp_path: Path) -> None:
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "slow")
    with killed_after_start(server, tmp_path), pytest.raises(RpobenchError, match="another download is running"):
        get(server, tmp_path)


def test_a_killed_download_leaves_no_final_name_and_goes_on(server: Server, tmp_path: Path) -> None:
    lamp3(server, count=40, words=5000)
    server.fail(QUESTIONS, "slow")
    with killed_after_start(server, tmp_path):
        pass
    assert names(tmp_path) == {f"LaMP_3/dev_questions.json.part{end}" for end in ("", "-origin")}
    get(server, tmp_path)
    assert server.served == {"slow": 1} and server.asked[1][1].startswith("bytes=")
    assert names(tmp_path) == DEV and len(load_official(TASK, tmp_path, "dev").labelled) == 40


@contextmanager
def killed_after_start(server: Server, out: Path) -> Iterator[None]:
    """A download in a process of its own, killed at the end of the block; it has begun when the block begins."""
    words = ["download", "--task", "LaMP-3", "--split", "dev", "--out", str(out), "--mirror", server.base]
    code = f"from rpobench.data.command import app\napp({words!r})"
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
