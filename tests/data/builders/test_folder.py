"""The folder that `rpobench data build` writes, and the command around it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from git_history import make_repository, run_git
from people_history import PEOPLE, read_questions, write_history
from typer.testing import CliRunner, Result

from rpobench import get_task
from rpobench.cli.data import app
from rpobench.data.official.folder import load_official
from rpobench.types import RpobenchError

TASK = get_task("LaMP-6")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "clone", write_history(PEOPLE))


def run_build(clone: Path | str, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["build", "git-log", "--repo", str(clone), "--out", str(out), *more])


def test_the_command_prints_what_was_built_and_what_was_left_out(clone: Path, tmp_path: Path) -> None:
    done = run_build(clone, tmp_path / "data")

    questions = read_questions(tmp_path / "data")
    train = [question for question in questions if question["split"] == "train"]
    people = len({question["user_id"] for question in train})
    assert f"LaMP-6: train {len(train)} questions of {people} people; dev " in done.stdout
    assert "LaMP-6: left out: nothing\nLaMP-6: cut out of texts: trailers 480\n" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "data")


def test_the_manifest_names_sources_options_and_files(clone: Path, tmp_path: Path) -> None:
    run_build(f"org/name={clone}", tmp_path / "data", "--licence", "MIT", "--profile-items", "9", "--least", "8")

    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    (source,) = manifest["sources"]
    commit = run_git(clone, "rev-parse", "HEAD")
    assert source["repositories"] == [{"name": "org/name", "commit": commit, "folder": ""}]
    assert (source["source"], source["licence"], source["salt"]) == ("git-log", "MIT", "git-log")
    assert (source["least"], source["profile_items"], source["since"]) == (8, 9, None)
    assert set(manifest["files"]) == {
        str(file.relative_to(tmp_path / "data")) for file in (tmp_path / "data").rglob("*puts.json")
    } | {str(file.relative_to(tmp_path / "data")) for file in (tmp_path / "data").rglob("*questions.json")}


def test_names_and_mail_addresses_stand_nowhere(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")

    for file in (tmp_path / "data").rglob("*.json"):
        assert "Number" not in file.read_text() and "x.org" not in file.read_text()


def test_a_private_salt_changes_every_id_and_is_not_told(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")
    run_build(clone, tmp_path / "private", "--salt", "a secret of mine")

    before, after = read_questions(tmp_path / "data"), read_questions(tmp_path / "private")
    assert not {question["user_id"] for question in before} & {question["user_id"] for question in after}
    assert not {question["id"] for question in before} & {question["id"] for question in after}
    manifest = (tmp_path / "private" / "manifest.json").read_text()
    assert '"salt": "private"' in manifest and "a secret" not in manifest


def test_since_bounds_the_questions_that_are_scored(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")
    run_build(clone, tmp_path / "since", "--since", "2020-09-24")

    before, after = read_questions(tmp_path / "data"), read_questions(tmp_path / "since")
    train = [question["id"] for question in before if question["split"] == "train"]
    assert [question["id"] for question in after if question["split"] == "train"] == train
    scored = [question for question in after if question["split"] != "train"]
    assert {question["target"][-1] for question in scored} == {"l"}, "the last of twelve days"
    assert {question["profile"][0]["date"] for question in scored} == {"2020-09-13"}, "profiles reach back"


def test_who_asks_for_it_is_left_out(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")
    person = read_questions(tmp_path / "data")[0]["user_id"]
    done = run_build(clone, tmp_path / "without", "--leave-out", person)

    assert "left out: removed on request 12" in done.stdout
    people = {question["user_id"] for question in read_questions(tmp_path / "without")}
    assert person not in people and len(people) == 19


def test_a_changed_file_is_refused_when_it_is_read(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")
    file = tmp_path / "data" / "LaMP_6" / "dev_questions.json"
    file.write_text(file.read_text().replace("topic", "topik"))

    for folder in (tmp_path / "data", tmp_path / "data" / "LaMP_6"):
        with pytest.raises(RpobenchError, match="was changed since `rpobench data build` made it"):
            load_official(TASK, folder, "dev")


def test_a_damaged_manifest_is_named(clone: Path, tmp_path: Path) -> None:
    run_build(clone, tmp_path / "data")
    file = tmp_path / "data" / "manifest.json"
    file.write_text(file.read_text()[:-20])

    with pytest.raises(RpobenchError, match="is damaged: build the folder again"):
        load_official(TASK, tmp_path / "data", "dev")


def expect_refusal(done: Result, message: str) -> None:
    assert done.exit_code == 1 and message in str(done.exception), done.output


def test_a_folder_that_holds_something_is_left_alone(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")

    expect_refusal(run_build(clone, tmp_path / "full"), "full: holds something else: name another folder")
    expect_refusal(run_build(clone, tmp_path / "file"), "file: is a file: name a folder")
    assert run_build(clone, tmp_path / "data").exit_code == 0
    expect_refusal(run_build(clone, tmp_path / "data"), "data: git-log stands there already: name another folder")


def test_wrong_options_are_refused(clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"

    expect_refusal(
        run_build(clone, out, "--task", "LaMP-3"), "--task LaMP-3: git-log makes LaMP-6: choose one of these"
    )
    expect_refusal(run_build(clone, out, "--since", "yesterday"), "--since yesterday: no day such as 2025-01-31")
    expect_refusal(run_build(clone, out, "--since", "2030-01-01", "--least", "13"), "and a question since 2030-01-01")
    expect_refusal(run_build(clone, out, "--leave-out", "git-log-0"), "--leave-out git-log-0: nobody has this id")
    done = CliRunner().invoke(app, ["build", "svn-log", "--repo", str(clone), "--out", str(out)])
    expect_refusal(done, "svn-log: no such source: choose one of git-log")
    assert not out.exists()
