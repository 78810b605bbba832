"""Runs and fits note which of the shared files they read, so that `rm` knows the last one that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rpobench.models.scripted import ScriptedModel
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.store.files import read_json, write_json
from rpobench.store.results import SHARED_FILES


def run_method(out: Path, method: str, **options: Any) -> Path:
    """Run a method on LaMP-3, and return the folder of the run."""
    (summary,) = run(make_plan(**{"method": method, "task": "LaMP-3", "out": out / "runs", "limit": 4, **options}))
    return out / "runs" / summary.run


def read_notes(folder: Path) -> list[str]:
    notes: list[str] = read_json(folder / "environment.json")[SHARED_FILES]
    return notes


def list_files(out: Path, folder: str) -> list[str]:
    return [file.relative_to(out / "runs").as_posix() for file in sorted((out / "runs" / folder).glob("*.jsonl"))]


def test_a_run_notes_the_drafts_that_it_reads(model: ScriptedModel, tmp_path: Path) -> None:
    peek = run_method(tmp_path, "peek")

    assert read_notes(peek) == list_files(tmp_path, "drafts") != []


def test_a_run_without_drafts_notes_none(model: ScriptedModel, tmp_path: Path) -> None:
    run_method(tmp_path, "peek")

    assert read_notes(run_method(tmp_path, "ponder")) == []


def test_a_fit_notes_its_drafts_and_its_run_does_not(model: ScriptedModel, tmp_path: Path) -> None:
    learner = run_method(tmp_path, "learner")
    (fit_spec,) = (tmp_path / "runs" / "fits").glob("*/spec.json")

    assert read_notes(fit_spec.parent) == list_files(tmp_path, "drafts") != []
    assert read_notes(learner) == []


def test_other_texts_are_noted_too(model: ScriptedModel, tmp_path: Path) -> None:
    summary_run = run_method(tmp_path, "profile-summary")

    assert list_files(tmp_path, "written")
    assert set(read_notes(summary_run)) == {*list_files(tmp_path, "written"), *list_files(tmp_path, "drafts")}


def test_a_kill_before_the_first_answer_leaves_the_note(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ScriptedModel, "choose", be_killed)
        run_method(tmp_path, "zero-shot")

    (unfinished,) = (tmp_path / "runs").glob("LaMP-3-zero-shot-*")
    assert [name.split("-")[0] for name in read_notes(unfinished)] == ["drafts/LaMP"]


def test_nothing_is_added_to_what_an_older_version_began(model: ScriptedModel, tmp_path: Path) -> None:
    folder = run_method(tmp_path, "peek")
    environment = read_json(folder / "environment.json")
    write_json(folder / "environment.json", {name: environment[name] for name in environment if name != SHARED_FILES})
    (folder / "result.json").unlink()
    (folder / "predictions.jsonl").unlink()

    run_method(tmp_path, "peek")

    assert SHARED_FILES not in read_json(folder / "environment.json")
