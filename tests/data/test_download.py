"""`rpobench data download`: what arrives whole, what is continued, what a broken server is told by."""

from __future__ import annotations

import json
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
from tenacity import wait_none
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.data import app
from rpobench.data.download import http as transfer
from rpobench.data.download.files import download
from rpobench.data.official.folder import load_official
from rpobench.types import RpobenchError


def test_a_split_arrives_whole_and_loads(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    download_split(lamp_server, tmp_path)

    assert list_files(tmp_path) == DEV
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 4

    pins = json.loads((tmp_path / "manifest.json").read_text())
    pin = pins["files"]["LaMP_3/dev_questions.json"]

    assert pins["data"] == "lamp-user" and len(pin["sha256"]) == 64
    assert pin["address"] == f"{lamp_server.base}/{QUESTIONS}" and pin["size"] == len(make_questions())
    assert lamp_server.requests == [
        (f"/downloads/LaMP/LaMP_3/dev/dev_{part}.json", "") for part in ("questions", "outputs")
    ]


@pytest.mark.parametrize(("data", "prefix"), [("lamp-user", ""), ("lamp-time", "time/")])
def test_movies_and_news_come_from_their_places_and_load(
    lamp_server: LampServer, tmp_path: Path, data: str, prefix: str
) -> None:
    movie, news = {"description": "d", "tag": "comedy"}, {"text": "t", "title": "h", "category": "crime"}
    for folder, fields, answer in (("LaMP_2/new", movie, "classic"), ("LaMP_2", news, "sports")):
        lamp_server.put(f"{prefix}{folder}/dev/dev_questions.json", make_questions(**fields))
        lamp_server.put(f"{prefix}{folder}/dev/dev_outputs.json", make_outputs(name="LaMP_2", answer=answer))

    for name, answer in (("LaMP-2", "classic"), ("LaMP-2N", "sports")):
        download_split(lamp_server, tmp_path, name=name, data=data)
        assert load_official(get_task(name), tmp_path, "dev").labelled[0].target == answer


def test_test_has_questions_only(lamp_server: LampServer, tmp_path: Path) -> None:
    lamp_server.put("LaMP_3/test/test_questions.json", make_questions())
    download_split(lamp_server, tmp_path, split="test")
    assert list_files(tmp_path) == {"LaMP_3/test_questions.json", "manifest.json"} and len(lamp_server.requests) == 1


def test_of_the_licensed_task_only_ids_come_and_stand_apart(lamp_server: LampServer, tmp_path: Path) -> None:
    ids = [{"id": "1", "input": "001-000001-EM.txt", "profile": [{"id": "p", "text": "001-000002-EM.txt"}]}]
    lamp_server.put("LaMP_6/dev/dev_questions.json", json.dumps(ids).encode())
    done = CliRunner().invoke(
        app, ["download", "--task", "LaMP-6", "--split", "dev", "--out", str(tmp_path), "--mirror", lamp_server.base]
    )

    assert done.exit_code == 0, done.output
    assert "build-lamp6" in done.stderr and done.stdout == f"{tmp_path}\n"
    assert list_files(tmp_path) == {"LaMP_6-ids/dev_questions.json", "manifest.json"}


def test_all_fetches_seven_tasks_into_a_folder_of_the_data(
    lamp_server: LampServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = {number: dict.fromkeys(get_task(f"LaMP-{number}").fields, "x") for number in range(1, 8)}

    for number, item in fields.items():
        folder = "LaMP_2/new" if number == 2 else f"LaMP_{number}"
        lamp_server.put(f"time/{folder}/test/test_questions.json", make_questions(**item))

    done = CliRunner().invoke(app, ["download", "--data", "lamp-time", "--split", "test", "--mirror", lamp_server.base])
    assert done.exit_code == 0, done.exception

    folders = [*(f"LaMP_{number}" for number in (1, 2, 3, 4, 5, 7)), "LaMP_6-ids"]
    assert list_files(tmp_path / "lamp-time") == {f"{name}/test_questions.json" for name in folders} | {"manifest.json"}


@pytest.mark.parametrize("versions", [True, False])
def test_a_cut_connection_goes_on_where_it_was(lamp_server: LampServer, tmp_path: Path, versions: bool) -> None:
    lamp_server.versions = versions
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "cut", "500", "cut", "cut at once", "503")
    download_split(lamp_server, tmp_path)

    assert lamp_server.served == {"cut": 2, "500": 1, "503": 1, "cut at once": 1}

    content = lamp_server.files[f"/downloads/LaMP/{QUESTIONS}"]
    assert (tmp_path / "LaMP_3/dev_questions.json").read_bytes() == content

    ranges = [
        int(byte_range[6:-1]) if byte_range else 0
        for path, byte_range in lamp_server.requests
        if path.endswith("questions.json")
    ]

    assert ranges[0] == 0 < ranges[1] == ranges[2] < ranges[3] == ranges[4] == ranges[5] and list_files(tmp_path) == DEV


def test_a_server_that_ignores_ranges_sends_all_again(lamp_server: LampServer, tmp_path: Path) -> None:
    lamp_server.ranges = False
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "cut", "cut")
    download_split(lamp_server, tmp_path)

    assert lamp_server.served == {"cut": 2} and lamp_server.requests[1][1] != ""
    assert len(load_official(TASK, tmp_path, "dev").labelled) == 40


def test_a_file_that_changed_between_attempts_is_not_patched(lamp_server: LampServer, tmp_path: Path) -> None:
    for lamp_server.versions in (True, False):
        out = tmp_path / str(lamp_server.versions)
        serve_lamp3(lamp_server, count=40, words=5000)
        lamp_server.fail(QUESTIONS, *["cut", *["403"]])
        with pytest.raises(RpobenchError, match="answered 403"):
            download_split(lamp_server, out)
        assert list_files(out) == {f"LaMP_3/dev_questions.json.part{end}" for end in ("", "-origin")}
        serve_lamp3(lamp_server, count=40, words=6000)
        download_split(lamp_server, out)
        assert (out / "LaMP_3/dev_questions.json").read_bytes() == make_questions(40, 6000)


def test_a_web_page_is_named_and_spares_what_has_arrived(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "html", "cut", "html")

    for attempt in range(2):
        with pytest.raises(RpobenchError, match=rf"{QUESTIONS}: answered with a web page"):
            download_split(lamp_server, tmp_path)
        assert bool(list(tmp_path.rglob("*.part"))) is bool(attempt) and "manifest.json" not in list_files(tmp_path)

    download_split(lamp_server, tmp_path)
    assert lamp_server.served == {"html": 2, "cut": 1} and lamp_server.requests[3][1].startswith("bytes=")


def test_404_names_the_address(lamp_server: LampServer, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError) as caught:
        download_split(lamp_server, tmp_path)
    assert f"{lamp_server.base}/{QUESTIONS}: not found (404)" in str(caught.value) and len(lamp_server.requests) == 1


def test_a_redirect_is_followed(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    lamp_server.files[f"/moved/LaMP/{QUESTIONS}"] = make_questions()
    lamp_server.fail(QUESTIONS, "redirect")
    download_split(lamp_server, tmp_path)
    assert lamp_server.served == {"redirect": 1} and list_files(tmp_path) == DEV


def test_a_length_that_is_too_long_is_tried_again(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, "too long")
    download_split(lamp_server, tmp_path)
    assert lamp_server.served == {"too long": 1} and len(load_official(TASK, tmp_path, "dev").labelled) == 40


@pytest.mark.parametrize("fault", ["too short", "cut"])
def test_half_a_file_that_the_server_calls_whole_is_discarded(
    lamp_server: LampServer, tmp_path: Path, fault: str
) -> None:
    lamp_server.lengths = fault == "too short"
    serve_lamp3(lamp_server, count=40, words=5000)
    lamp_server.fail(QUESTIONS, fault)

    with pytest.raises(RpobenchError, match="no whole file of LaMP-3 and is discarded"):
        download_split(lamp_server, tmp_path)
    assert lamp_server.served == {fault: 1} and list_files(tmp_path) == set()


def test_a_server_that_never_delivers_is_given_up(lamp_server: LampServer, tmp_path: Path) -> None:
    serve_lamp3(lamp_server)
    lamp_server.fail(QUESTIONS, *["500", "429"] * 9)
    with pytest.raises(RpobenchError, match=r"the server answered 500, 5 times without a new byte; what"):
        download_split(lamp_server, tmp_path)
    assert lamp_server.served == {"500": 3, "429": 2} and list_files(tmp_path) == set()


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF", wait_none())
    with pytest.raises(RpobenchError, match=r"dev_questions.json: connection cut or refused \(ConnectionError\)"):
        download([TASK], ["dev"], "lamp-user", tmp_path, mirror="http://127.0.0.1:9/LaMP")
