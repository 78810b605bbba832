"""What the manifest of built data says goes with its results: sources, commits, licence; Avocado's rules do not."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import run_rpobench
from git_history import make_repository, run_git
from people_history import PEOPLE, write_history
from rpobench.leaderboard.formats.latex import escape_tex

from rpobench import get_task
from rpobench.data.official import questions
from rpobench.data.official.folder import load_official
from rpobench.data.sources import Source
from rpobench.method.answering import TextPrivacy
from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.environment import note_fit_environment
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

TASK = get_task("LaMP-6")
RUN = ("run", "--method", "zero-shot", "--task", "LaMP-6", "--base-model", "scripted:echo", "--no-swap")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A built folder, with the licence of its texts."""
    clone = make_repository(tmp_path / "clone", write_history(PEOPLE))
    command = ["data", "build", "git-log", "--repo", f"org/name={clone}", "--licence", "MIT"]
    assert run_rpobench(*command, "--out", tmp_path / "built").returncode == 0
    return tmp_path / "built"


@pytest.fixture
def phrase(built: Path, tmp_path: Path) -> str:
    """What every table says of the built folder."""
    commit = run_git(tmp_path / "clone", "rev-parse", "HEAD")
    return f"git-log of org/name at {commit[:10]} (MIT)"


def run_on(data: Path | str, tmp_path: Path, *more: str) -> Path:
    """Run on some data, and return the folder of the run."""
    done = run_rpobench(*RUN, "--data", str(data), "--out", tmp_path / "runs", *more)
    assert done.returncode == 0, done.stderr

    (name,) = ResultStore(tmp_path / "runs").list_names()
    return tmp_path / "runs" / name


def test_every_table_says_where_the_data_comes_from(built: Path, phrase: str, tmp_path: Path) -> None:
    done = run_rpobench(*RUN, "--data", built, "--out", tmp_path / "runs")
    assert phrase in done.stdout

    report = ("report", "--runs", tmp_path / "runs")
    for form in ("md", "latex", "html"):
        run_rpobench(*report, "--format", form, "--out", tmp_path / f"table.{form}")
        expected = escape_tex(phrase) if form == "latex" else phrase
        assert expected in (tmp_path / f"table.{form}").read_text(), form
    assert phrase in run_rpobench(*report).stdout

    lines = list(csv.DictReader(io.StringIO(run_rpobench(*report, "--format", "csv").stdout)))
    assert {(line["sources"], line["licence"]) for line in lines} == {(phrase, "MIT")}


def test_tables_say_since_when_the_questions_are(tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "clone", write_history(PEOPLE))
    build = ("data", "build", "git-log", "--repo", clone, "--out", tmp_path / "built", "--since", "2020-09-20")
    assert run_rpobench(*build).returncode == 0
    run_on(tmp_path / "built", tmp_path)

    assert run_on(tmp_path / "built", tmp_path, "--no-text")  # which changes a stored result
    report = run_rpobench("report", "--runs", tmp_path / "runs").stdout
    assert "questions since 2020-09-20 (licence not stated)" in report


def test_a_licence_that_nobody_stated_is_named_so(tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "clone", write_history(PEOPLE))
    run_rpobench("data", "build", "git-log", "--repo", clone, "--out", tmp_path / "built")

    data = load_official(TASK, tmp_path / "built", "dev")
    assert data.origin is not None and data.origin.describe().endswith("(licence not stated)")


def test_commons_and_the_plain_folder_make_the_same_run(built: Path, tmp_path: Path) -> None:
    first = run_on(built, tmp_path)

    assert run_on(f"commons:{built}", tmp_path) == first == run_on(built / "LaMP_6", tmp_path)
    for data in (str(built), f"commons:{built}", "built"):
        assert "zero-shot" in run_rpobench("report", "--runs", tmp_path / "runs", "--data", data).stdout
    shown = run_rpobench("show", first.name, "--runs", tmp_path / "runs", "--data", f"commons:{built}", "--json")
    assert "topic" in json.loads(shown.stdout)[0]["input"]


def test_commons_needs_a_manifest(built: Path, tmp_path: Path) -> None:
    (built / "manifest.json").unlink()
    done = run_rpobench(*RUN, "--data", f"commons:{built}", "--out", tmp_path / "runs")

    assert done.returncode == 1 and done.stderr.strip().count("\n") == 0
    assert f"--data commons:{built}: {built} has no manifest.json of `rpobench data build`" in done.stderr
    with pytest.raises(RpobenchError, match="has no manifest"):
        Source(f"commons:{tmp_path / 'absent'}").load_scored(TASK)


def test_texts_of_built_data_may_be_shown_and_packed(built: Path, tmp_path: Path) -> None:
    run = run_on(built, tmp_path)

    assert read_json(run / "result.json")["texts"] is True
    assert run_rpobench("check", run).returncode == 0
    packed = run_rpobench("pack", "--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert packed.stdout.startswith(run.name)
    assert (
        read_json(run / "result.json")["origin"]
        == ResultStore(tmp_path / "packed").find(run.name).result.to_json()["origin"]
    )
    assert run_rpobench("check", tmp_path / "packed").returncode == 0


def test_without_its_manifest_the_same_data_counts_as_avocado(built: Path, tmp_path: Path) -> None:
    (built / "manifest.json").unlink()
    run = run_on(built, tmp_path)

    assert read_json(run / "result.json")["texts"] is False and "origin" not in read_json(run / "result.json")
    write_json(run / "result.json", read_json(run / "result.json") | {"texts": True})
    assert "texts must be false" in run_rpobench("check", run).stdout


def test_a_result_of_an_earlier_version_gets_what_the_data_says(built: Path, phrase: str, tmp_path: Path) -> None:
    run = run_on(built, tmp_path)
    result = read_json(run / "result.json")
    write_json(run / "result.json", {name: value for name, value in result.items() if name != "origin"})

    assert run_on(built, tmp_path) == run and read_json(run / "result.json") == result
    assert phrase in run_rpobench("report", "--runs", tmp_path / "runs").stdout


def test_large_files_of_built_data_go_to_the_shared_cache(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(questions, "LARGE", 0)

    load_official(TASK, built, "dev")
    assert (tmp_path / "cache" / "questions").is_dir() and not (built / "LaMP_6" / ".rpobench").exists()


def test_answers_on_free_data_go_to_the_shared_cache(tmp_path: Path) -> None:
    model = CachedModel(ScriptedModel(str), AnswerCache(tmp_path / "answers.sqlite"))

    assert TextPrivacy().restrict(model, [TASK]) is not model
    assert TextPrivacy(frozenset({"LaMP-6"})).restrict(model, [TASK]) is model
    assert TextPrivacy(frozenset({"LaMP-4"})).restrict(model, [get_task("LaMP-4"), TASK]) is not model


def test_a_fit_notes_which_of_its_data_is_free(tmp_path: Path) -> None:
    note_fit_environment(tmp_path / "fit", None, ["LaMP-6", "LaMP-4"])

    assert read_json(tmp_path / "fit" / "environment.json")["free_tasks"] == ["LaMP-4", "LaMP-6"]
