"""`rpobench rm` as a user types it: what it lists, when it asks, and every way in which it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_rpobench, spawn_rpobench
from packing import change_json, pack
from removals import list_paths, read_files, remove_runs
from run_answers import good, poor
from terminal_window import read_window

Make = Callable[..., Path]
PLAN = ("run", "--base-model", "scripted:echo", "--limit", "4", "--task", "LaMP-3", "--method")


@pytest.fixture(scope="module")
def made_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rm") / "runs"
    assert run_rpobench(*PLAN, "zero-shot,majority", "--out", folder).returncode == 0
    return folder


@pytest.fixture
def out(made_runs: Path, tmp_path: Path) -> Path:
    """A folder with `runs`: a run, and one of another method with its control and its fit."""
    shutil.copytree(made_runs, tmp_path / "runs")
    return tmp_path


@pytest.fixture
def many(make_run: Make, tmp_path: Path) -> Path:
    """A folder with `runs` of several rows, labels, seeds, tasks and base models."""
    make_run("good", good, config={"k": 4}, knobs={})
    make_run("good", good, config={"k": 4}, knobs={}, profiles="swapped")
    make_run("good", good, config={"k": 1}, knobs={"k": 1})
    make_run("poor", poor, seed=1)
    make_run("poor", poor, base_model="hf:Org/Other@abc+bfloat16")
    change_json(make_run("labelled", poor, task="LaMP-2") / "environment.json", label="my idea")
    return tmp_path


def list_gone(out: Path, *arguments: str) -> list[str]:
    """Remove runs, and return what methods the folders that went are of, in alphabetical order."""
    before = list_paths(out)
    remove_runs(out, *arguments)
    return sorted("-".join(path.split("-")[2:-1]) for path in before - list_paths(out))


def test_a_dry_run_lists_what_would_go_and_writes_nothing(out: Path) -> None:
    before = read_files(out)

    result = run_rpobench("rm", "--method", "majority", "--dry-run", "--runs", out / "runs")

    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [what for _, what, _ in lines] == ["run", "control", "fit of majority"]
    assert {path for path, _, _ in lines} == {path for path in list_paths(out) if "majority" in path or "fits/" in path}
    assert all(size.split()[1] in ("bytes", "kB") for _, _, size in lines)
    assert "2 runs and 1 thing that only they use" in result.stderr and "would go" in result.stderr
    assert result.returncode == 0 and read_files(out) == before


def test_without_a_terminal_it_refuses(out: Path) -> None:
    before = read_files(out)

    result = spawn_rpobench("rm", "--method", "majority", "--runs", out / "runs")

    assert result.returncode == 1 and "no terminal to ask on, nothing was removed: give --yes" in result.stderr
    assert len(result.stdout.splitlines()) == 3 and read_files(out) == before


@pytest.mark.parametrize("answer", ["n", "", "y"])
def test_on_a_terminal_it_asks(out: Path, answer: str) -> None:
    before = list_paths(out)

    window = read_window("rm", "--method", "majority", "--runs", out / "runs", answer=answer)

    assert "Remove 2 runs and 1 thing that only they use (" in window
    assert ("nothing was removed" in window) == (answer != "y") == (list_paths(out) == before)


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_shortens_nothing(out: Path, columns: int) -> None:
    window = read_window("rm", "--task", "LaMP-3", "--dry-run", "--runs", out / "runs", columns=columns)

    assert "…" not in window and max(map(len, window.splitlines())) <= columns
    assert "drafts/LaMP-3-" in window and "fit of majority" in window


def test_freed_space_is_what_was_there(out: Path) -> None:
    size = sum(len(content) for content in read_files(out).values())

    message = remove_runs(out, "--task", "LaMP-3")

    assert f"({size / 1000:.1f} kB) removed" in message and list_paths(out) == set()


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (("--method", "poor"), ["poor", "poor"]),
        (("--method", "poor", "--seed", "1"), ["poor"]),
        (("--seed", "0", "--method", "poor,labelled"), ["labelled", "poor"]),
        (("--method", "good k=1"), ["good"]),
        (("good k=1",), ["good"]),
        (("good",), ["good", "good-swapped"]),
        (("my idea",), ["labelled"]),
        (("--label", "my idea"), ["labelled"]),
        (("--task", "LaMP-2"), ["labelled"]),
        (("--set", "k=4"), ["good", "good-swapped"]),
        (("--base-model", "hf:Org/Other"), ["poor"]),
        (("my idea", "good k=1"), ["good", "labelled"]),
    ],
)
def test_runs_are_chosen_as_reports_name_them(many: Path, arguments: tuple[str, ...], gone: list[str]) -> None:
    assert list_gone(many, *arguments) == gone


def test_digests_and_folders_are_names_too(many: Path) -> None:
    folder = next((many / "runs").glob("LaMP-3-good-swapped-*"))
    labelled = next((many / "runs").glob("LaMP-2-*"))

    assert list_gone(many, f"{folder}/", labelled.name.rpartition("-")[2]) == ["good-swapped", "labelled"]


def test_a_folder_is_a_name_from_wherever_it_is_given(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next((many / "runs").glob("LaMP-2-*"))
    monkeypatch.chdir(many / "runs")

    for name in (f"./{folder.name}", str(folder), folder.name):
        assert run_rpobench("rm", name, "--dry-run", "--runs", ".").returncode == 0, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give names of runs, or options such as --method"),
        (("good", "--method", "poor"), "name runs or choose them by options such as --method, not both"),
        (("labelled",), "labelled is no run and no row but a method: --method labelled means all its runs"),
        (("LaMP-3-poor",), "2 runs named 'LaMP-3-poor'"),
        (("nobody",), "no run named 'nobody'"),
        (("",), "no run named ''"),
        (("..",), "no run named '..'"),
        ((".",), "no run named '.'"),
        (("fits",), "no run named 'fits'"),
        (("../runs",), "no run named '../runs'"),
        (("good", "nobody"), "no run named 'nobody'"),
        (("--method", "goood"), "--method goood: no run here; did you mean good"),
        (("--seed", "7"), "--seed 7: no run here; choose one of 0, 1"),
        (("--set", "k"), "--set k: give key=value"),
    ],
)
def test_what_means_nothing_removes_nothing(many: Path, arguments: tuple[str, ...], words: str) -> None:
    before = read_files(many)

    result = run_rpobench("rm", *arguments, "--yes", "--runs", many / "runs")

    assert result.returncode == 1 and words in result.stderr and len(result.stderr.splitlines()) == 1
    assert read_files(many) == before


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    result = run_rpobench("rm", "x", "--runs", tmp_path / "none")

    assert result.returncode == 1 and f"--runs {tmp_path / 'none'}: no such folder" in result.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("arguments", [("--method", "good"), ("good",), ("LaMP-3-good",)])
def test_packed_runs_are_refused(make_run: Make, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    make_run("good", good)
    packed = tmp_path / "packed" / "runs"
    assert pack("--out", packed, "--runs", tmp_path / "runs").exit_code == 0
    before = read_files(tmp_path / "packed")

    result = run_rpobench("rm", *arguments, "--yes", "--runs", packed)

    assert result.returncode == 1 and "is in a packed set, which rm never changes" in result.stderr
    assert read_files(tmp_path / "packed") == before


def test_packed_runs_beside_others_stay_and_are_told(make_run: Make, tmp_path: Path) -> None:
    run = make_run("good", good)
    assert pack("--out", tmp_path / "packed", "--runs", tmp_path / "runs").exit_code == 0
    for file in (tmp_path / "packed").glob("*.parquet"):
        shutil.copy(file, tmp_path / "runs")
    make_run("good", good, seed=1)

    message = remove_runs(tmp_path, "--method", "good")

    assert f"1 packed runs stay, such as {run.name}" in message
    assert run_rpobench("show", run.name, "--runs", tmp_path / "runs").returncode == 0
    assert {path.suffix for path in (tmp_path / "runs").glob("[!.]*")} == {".parquet"}


def test_the_shell_completes_names_of_runs(many: Path) -> None:
    line = f"rpobench rm --runs {many / 'runs'} LaMP-2"
    result = spawn_rpobench(_RPOBENCH_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD="4")

    assert result.stdout.split() == [next((many / "runs").glob("LaMP-2-*")).name], result.stderr
