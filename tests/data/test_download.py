"""`rpobench data download`: what arrives whole, what is continued, what a broken server is told by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamp_server import DEV, QUESTIONS, TASK, Server, get, lamp3, names, outputs, questions, running
from tenacity import wait_none
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.data import app
from rpobench.data.download import http as transfer
from rpobench.data.download.files import download
from rpobench.data.official.folder import load_official
from rpobench.types import RpobenchError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "BACKOFF", wait_none())
    with running() as made:
        yield made


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
