"""Who uses a fit, drafts, texts and what was learned of users; what older runs do not note is judged by their specs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from packing import change_json, pack

from rpobench.method.code import _vouched_hashes
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.runs.uses import find_fit_users, list_readers, list_shared_parts
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SHARED_FILES
from rpobench.types import RpobenchError


def make_run(out: Path, method: str, **options: Any) -> Path:
    """Run a method on LaMP-3, and return the folder of the run."""
    (summary,) = run(make_plan(**{"method": method, "task": "LaMP-3", "out": out / "runs", "limit": 4, **options}))
    return out / "runs" / summary.run


def list_users(out: Path) -> dict[str, set[str]]:
    """Who uses what, by its path."""
    store = ResultStore(out / "runs")
    parts = list_shared_parts(store, list_readers(store))
    return {part.path: {reader.path for reader in part.readers} for part in parts}


def forget_notes(folder: Path) -> None:
    """Let a run look like one of a version that noted neither files nor code."""
    environment = read_json(folder / "environment.json")
    dropped = (SHARED_FILES, "code")
    write_json(folder / "environment.json", {key: environment[key] for key in environment if key not in dropped})


def test_a_fit_is_used_by_a_run_that_names_its_checkpoint(model: ScriptedModel, tmp_path: Path) -> None:
    learner, other = make_run(tmp_path, "learner"), make_run(tmp_path, "ponder")
    digest = read_json(learner / "spec.json")["fit"]
    assert find_fit_users(ResultStore(tmp_path / "runs"), [digest]) == [learner.name]

    change_json(other / "spec.json", config={"teacher": f"hf:runs/fits/{digest}/checkpoint"})

    assert find_fit_users(ResultStore(tmp_path / "runs"), [digest]) == [learner.name, other.name]


def test_a_packed_run_uses_its_fit_and_no_drafts(model: ScriptedModel, tmp_path: Path) -> None:
    learner, zero_shot = make_run(tmp_path, "learner"), make_run(tmp_path, "zero-shot")
    assert pack("--out", tmp_path / "packed", "--runs", tmp_path / "runs").exit_code == 0
    for file in (tmp_path / "packed").glob("*.parquet"):
        shutil.copy(file, tmp_path / "runs")
    for folder in (learner, zero_shot):
        shutil.rmtree(folder)

    users = list_users(tmp_path)

    fit = f"fits/{ResultStore(tmp_path / 'runs').find(learner.name).spec.fit}"
    assert users[fit] == {learner.name}
    assert [users[path] for path in users if path.startswith("drafts/")] == [{fit}]


@pytest.mark.parametrize(
    ("change", "is_user"),
    [
        ({}, True),
        ({"base_model": "another"}, False),
        ({"base_model": "another", "task": "LaMP-3@0"}, True),
        ({"task": "LaMP-2@1"}, False),
        ({"version": "imported"}, False),
    ],
)
def test_drafts_of_a_run_that_notes_none_are_judged_by_its_spec(
    model: ScriptedModel, tmp_path: Path, change: dict[str, str], is_user: bool
) -> None:
    run_folder = make_run(tmp_path, "zero-shot")
    forget_notes(run_folder)
    change_json(run_folder / "spec.json", **change)

    ((path, users),) = list_users(tmp_path).items()

    assert path.startswith("drafts/LaMP-3-") and (run_folder.name in users) == is_user


def test_a_run_of_a_task_that_is_not_installed_may_use_any_drafts_of_it(model: ScriptedModel, tmp_path: Path) -> None:
    run_folder = make_run(tmp_path, "zero-shot")
    forget_notes(run_folder)
    change_json(run_folder / "spec.json", task="LaMP-99@1")
    (tmp_path / "runs" / "drafts" / "LaMP-99-0123456789ab.jsonl").touch()

    users = list_users(tmp_path)

    assert users["drafts/LaMP-99-0123456789ab.jsonl"] == {run_folder.name}
    assert users.pop("drafts/LaMP-99-0123456789ab.jsonl") and list(users.values()) == [set()]


def test_texts_are_used_by_every_run_that_notes_none(model: ScriptedModel, tmp_path: Path) -> None:
    summary_run, ponder = make_run(tmp_path, "profile-summary", swap=False), make_run(tmp_path, "ponder")
    (texts,) = [path for path in list_users(tmp_path) if path.startswith("written/")]
    assert list_users(tmp_path)[texts] == {summary_run.name}

    forget_notes(ponder)

    assert list_users(tmp_path)[texts] == {summary_run.name, ponder.name}


def test_parts_of_users_belong_to_a_method_and_its_code(model: ScriptedModel, tmp_path: Path) -> None:
    zero_shot, ponder = make_run(tmp_path, "zero-shot"), make_run(tmp_path, "ponder")
    code = read_json(zero_shot / "environment.json")["code"]
    vouched = _vouched_hashes("zero-shot", read_json(zero_shot / "spec.json")["version"])
    assert code["sha256"] in vouched
    folders = {
        f"zero-shot-{vouched[0][:12]}": {zero_shot.name},
        f"zero-shot-{code['sha256'][:12]}": {zero_shot.name},
        "zero-shot-0123456789ab": set(),
        "shot-0123456789ab": set(),
        "0123456789abcdef01234567": {zero_shot.name, ponder.name},  # from before methods had folders
    }
    for name in folders:
        (tmp_path / "runs" / "users" / name).mkdir(parents=True)

    users = list_users(tmp_path)
    assert {name: users[f"users/{name}"] for name in folders} == folders

    forget_notes(zero_shot)
    assert list_users(tmp_path)["users/zero-shot-0123456789ab"] == {zero_shot.name}


def test_what_a_user_put_beside_is_nobodys(model: ScriptedModel, tmp_path: Path) -> None:
    make_run(tmp_path, "learner")
    before = list_users(tmp_path)
    for path in ("fits/old", "users/me", "fits/learner"):  # words that specs may hold
        (tmp_path / "runs" / path).mkdir(parents=True)
    (tmp_path / "runs" / "drafts" / "notes.jsonl").touch()

    assert list_users(tmp_path) == before


def test_a_spec_that_cannot_be_read_is_named(model: ScriptedModel, tmp_path: Path) -> None:
    folder = make_run(tmp_path, "learner")
    (fit_spec,) = (tmp_path / "runs").glob("fits/*/spec.json")
    fit_spec.write_text("[]")

    with pytest.raises(RpobenchError, match=str(fit_spec)):
        list_users(tmp_path)
    assert find_fit_users(ResultStore(tmp_path / "runs"), [fit_spec.parent.name]) == [folder.name]
