"""`rm` killed anywhere, beside other processes, and where it may not work: nothing half-removed is met by anybody."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from removals import list_paths, read_files, remove_runs

from rpobench.models.scripted import ScriptedModel
from rpobench.runs import removal
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.store.files import read_json, write_json
from rpobench.store.locks import locked

STEPS = 20  # at least as many renames, deletions and lists as one removal has


class Killed(BaseException):
    """Ends the process, as far as anything in it can tell."""


def make_runs(out: Path, method: str = "learner,peek", **options: Any) -> set[str]:
    """Run two methods, and return the names of the runs."""
    plan = make_plan(**{"method": method, "task": "LaMP-3", "out": out / "runs", "limit": 4, **options})
    return {summary.run for summary in run(plan)}


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Kill the process before the given rename or deletion; the function that is returned counts them."""
    count = 0

    def die_before(original: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count > step:
                raise Killed
            return original(*arguments, **options)

        return act

    for owner, name in ((Path, "rename"), (shutil, "rmtree"), (Path, "unlink"), (removal, "write_json")):
        monkeypatch.setattr(owner, name, die_before(getattr(owner, name)))
    return lambda: count


def kill_removal(out: Path, monkeypatch: pytest.MonkeyPatch, step: int, *arguments: str) -> bool:
    """Remove runs and be killed on the way; say whether that happened."""
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        try:
            remove_runs(out, *arguments)
        except Killed:
            return True
    return False


def check_commands(out: Path) -> None:
    """Every command that reads the folder works."""
    for arguments in (("report",), ("list", "runs"), ("list", "runs", "--json")):
        result = run_rpobench(*arguments, "--runs", out / "runs")
        assert result.returncode == 0, result.stderr

    assert run_rpobench("check", out / "runs").returncode == 0
    for name in [path for path in list_paths(out) if path.startswith("LaMP-3-")]:
        assert run_rpobench("show", name, "--runs", out / "runs").returncode == 0


def test_every_step_of_a_removal_is_tested(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runs(tmp_path)

    assert not kill_removal(tmp_path, monkeypatch, STEPS, "--method", "learner,peek")


@pytest.mark.parametrize("step", range(STEPS))
def test_the_same_command_finishes_after_a_kill(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    (other,) = make_runs(tmp_path, "ponder")
    make_runs(tmp_path)

    is_killed = kill_removal(tmp_path, monkeypatch, step, "--method", "learner,peek")
    check_commands(tmp_path)
    if is_killed:
        remove_runs(tmp_path, "--method", "learner,peek")

    assert list_paths(tmp_path) == {other}


@pytest.mark.parametrize("step", range(STEPS))
def test_names_are_found_again_after_a_kill(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    names = make_runs(tmp_path)

    if kill_removal(tmp_path, monkeypatch, step, *names):
        remove_runs(tmp_path, *names)

    assert list_paths(tmp_path) == set()


@pytest.mark.parametrize("step", range(STEPS))
def test_what_is_made_anew_after_a_kill_stays(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    names = make_runs(tmp_path)
    make_runs(tmp_path, "ponder")
    before = list_paths(tmp_path)
    kill_removal(tmp_path, monkeypatch, step, *names)

    assert make_runs(tmp_path) == names
    remove_runs(tmp_path, "--method", "ponder")

    assert {path for path in before if "ponder" not in path} == list_paths(tmp_path)
    check_commands(tmp_path)


def test_a_list_that_was_killed_while_it_was_written_goes_with_the_next(model: ScriptedModel, tmp_path: Path) -> None:
    make_runs(tmp_path, "ponder")
    (tmp_path / "runs" / ".removed.json.01234567.part").write_text("{")

    remove_runs(tmp_path, "--method", "ponder")

    assert list_paths(tmp_path) == set()


def test_a_fit_is_not_used_after_its_removal_was_killed(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runs(tmp_path, "learner")
    (fit,) = (tmp_path / "runs" / "fits").glob("*/checkpoint")
    (fit / "stale").touch()
    assert kill_removal(tmp_path, monkeypatch, 2, "--method", "learner"), "after the run, before the fit"
    assert (fit / "stale").exists()

    make_runs(tmp_path, "learner")

    assert fit.exists() and not (fit / "stale").exists()


@pytest.mark.parametrize("held", ["run", "fits", "drafts", ".again", ".removed"])
def test_what_another_process_works_on_is_refused(model: ScriptedModel, tmp_path: Path, held: str) -> None:
    make_runs(tmp_path)
    runs = tmp_path / "runs"
    paths = {"run": next(runs.glob("LaMP-3-peek-swapped-*")), ".again": runs / ".again", ".removed": runs / ".removed"}
    paths["fits"] = next(runs.glob("fits/*/spec.json")).parent
    paths["drafts"] = next(runs.glob("drafts/*.jsonl"))
    before = read_files(tmp_path)

    with locked(paths[held]):
        refused = run_rpobench("rm", "--method", "peek,learner", "--yes", "--runs", runs)

    assert refused.returncode == 1 and "another process works on it: wait until" in refused.stderr
    assert paths[held].name in refused.stderr and "Traceback" not in refused.stderr
    assert read_files(tmp_path) == before
    remove_runs(tmp_path, "--method", "peek,learner")


def test_a_run_that_came_while_the_user_thought_is_not_forgotten(
    model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runs(tmp_path, "peek")
    original = removal.remove

    def remove_later(*arguments: Any, **options: Any) -> None:
        make_runs(tmp_path, "zero-shot")  # reads the same drafts
        original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(removal, "remove", remove_later)
        refused = run_rpobench("rm", "--method", "peek", "--yes", "--runs", tmp_path / "runs")

    assert refused.returncode == 1 and "changed meanwhile, nothing was removed" in refused.stderr
    assert len(list_paths(tmp_path)) == 4


@pytest.mark.parametrize("path", ["../precious", "/tmp/precious", "a/../../precious"])
def test_a_list_that_leads_elsewhere_is_refused(model: ScriptedModel, tmp_path: Path, path: str) -> None:
    make_runs(tmp_path, "ponder")
    (tmp_path / "precious").mkdir()
    file = tmp_path / "runs" / ".removed.json"
    write_json(file, {"names": [], "paths": [path], "is_aside": False})

    for arguments in (("rm", "--method", "ponder", "--yes", "--runs"), ("rm", "x", "--yes", "--runs")):
        refused = run_rpobench(*arguments, tmp_path / "runs")
        assert refused.returncode == 1 and "which is not in this folder" in refused.stderr
    assert (tmp_path / "precious").exists() and read_json(file)["paths"] == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_what_cannot_be_deleted_is_aside_and_stops_no_run(model: ScriptedModel, tmp_path: Path) -> None:
    (name,) = make_runs(tmp_path, "ponder")
    locked_folder = tmp_path / "runs" / name / "notes"
    locked_folder.mkdir()
    (locked_folder / "a").touch()
    locked_folder.chmod(0o500)

    refused = run_rpobench("rm", name, "--yes", "--runs", tmp_path / "runs")
    assert refused.returncode == 1 and "Permission denied" in refused.stderr

    assert make_runs(tmp_path, "ponder") == {name}
    (tmp_path / "runs" / ".removed" / name / "notes").chmod(0o700)
    remove_runs(tmp_path, "--method", "ponder")
