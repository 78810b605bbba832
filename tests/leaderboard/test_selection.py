"""Which runs a report or a comparison is of: filters, several folders, and every name that a report prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_rpobench
from run_answers import good, poor

from rpobench.store.files import read_json, write_json

Make = Callable[..., Path]


@pytest.fixture
def runs(make_run: Make, tmp_path: Path) -> Path:
    """Two methods, one of them with two values of a knob and one with a label, for two base models."""
    make_run("good", good, config={"k": 4, "draft": True}, knobs={})
    make_run("good", good, config={"k": 1, "draft": True}, knobs={"k": 1})
    make_run("good", good, config={"k": 4, "draft": False}, knobs={"draft": False})
    make_run("poor", poor)
    make_run("poor", poor, base_model="hf:Org/Other@abc+bfloat16")

    labelled = make_run("labelled", poor, task="LaMP-2")
    file = labelled / "environment.json"
    write_json(file, {**read_json(file), "label": "my idea"})
    return tmp_path / "runs"


def list_rows(runs: Path, *options: str | Path) -> list[tuple[str, str, str]]:
    """The rows of a report: method, task and base model, in the main metric."""
    result = run_rpobench("report", "--runs", runs, "--json", *options)
    assert result.returncode == 0, result.stderr

    lines = json.loads(result.stdout)
    return list(dict.fromkeys((line["method"], line["task"], line["base_model"]) for line in lines))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--method", "poor"), {"poor"}),
        (("--method", "good k=1"), {"good k=1"}),
        (("--method", "poor,good draft=off"), {"poor", "good draft=off"}),
        (("--task", "LaMP-2"), {"my idea"}),
        (("--label", "my idea"), {"my idea"}),
        (("--set", "k=1"), {"good k=1"}),
        (("--set", "draft=off"), {"good draft=off"}),
        (("--set", "draft=on", "--set", "k=4"), {"good"}),
        (("--base-model", "hf:Org/Other"), {"poor"}),
        (("--base-model", "hf:Org/Other@abc+bfloat16"), {"poor"}),
    ],
)
def test_a_report_is_narrowed(runs: Path, options: tuple[str, ...], expected: set[str]) -> None:
    assert {method.removesuffix(" (imported)") for method, _, _ in list_rows(runs, *options)} == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "goood"), ("--method goood", "did you mean good")),
        (("--task", "LaMP-9"), ("--task LaMP-9", "LaMP-2")),
        (("--base-model", "hf:Org/Othe"), ("--base-model hf:Org/Othe", "hf:Org/Other@abc+bfloat16")),
        (("--set", "k=9"), ("--set k=9", "no finished run")),
        (("--label", "your idea"), ("--label your idea", "my idea")),
        (("--data", "synth-v9"), ("--data synth-v9", "synth-v2")),
        (("--set", "k"), ("--set k", "key=value")),
    ],
)
def test_an_option_that_leaves_no_run_says_what_there_is(
    runs: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    for command in (("report",), ("compare", "good", "poor")):
        result = run_rpobench(*command, "--runs", runs, *options)

        assert result.returncode == 1 and result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1
        for word in words:
            assert word in result.stderr


def test_compare_takes_every_row_that_a_report_prints(runs: Path) -> None:
    rows = [row for row, task, model in list_rows(runs) if task == "LaMP-3" and "Other" not in model]
    assert {"good", "good k=1", "good draft=off", "poor"} == set(rows)

    for row in rows[1:]:
        options = ("--runs", runs, "--base-model", "m", "--json")
        result = run_rpobench("compare", rows[0], row, *options)
        assert result.returncode == 0, result.stderr
        assert {line["second"] for line in json.loads(result.stdout)["comparisons"]} == {row}


def test_a_name_that_is_none_suggests_rows(runs: Path) -> None:
    result = run_rpobench("compare", "good", "good draft=of", "--runs", runs)

    assert result.returncode == 1 and "did you mean good draft=off" in result.stderr


def test_several_folders_are_read_like_one(runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    moved = next(runs.glob("LaMP-2-*"))
    shutil.copytree(next(runs.glob("LaMP-3-poor-*")), other / next(runs.glob("LaMP-3-poor-*")).name)
    before = list_rows(runs)
    shutil.move(moved, other / moved.name)

    assert set(list_rows(runs, "--runs", other)) == set(before), "what stands twice is read once"


def test_a_run_with_two_results_is_refused(runs: Path, tmp_path: Path) -> None:
    run = next(runs.glob("LaMP-3-poor-*"))
    copy = tmp_path / "other" / run.name
    shutil.copytree(run, copy)
    result = read_json(copy / "result.json")
    write_json(copy / "result.json", {**result, "metrics": {**result["metrics"], "MAE": 0.0}})

    refused = run_rpobench("report", "--runs", runs, "--runs", tmp_path / "other")

    assert refused.returncode == 1 and "differ in their results: leave one out" in refused.stderr


def test_a_folder_without_runs_is_named(runs: Path, tmp_path: Path) -> None:
    refused = run_rpobench("report", "--runs", runs, "--runs", tmp_path / "none")

    assert refused.returncode == 1 and f"{tmp_path / 'none'}: no finished run" in refused.stderr


def test_base_models_stand_beside_each_other(runs: Path) -> None:
    text = run_rpobench("report", "--runs", runs, "--format", "md").stdout
    table = text.split("## Across base models")[1]

    (head,) = [line for line in table.splitlines() if line.startswith("| method")]
    assert "hf:Org/Other@abc+bfloat16" in head and "| m |" in head
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][2:]
    assert rows == ["poor"], "only rows that two base models have"
    assert "tab:rpobench-models-1" in run_rpobench("report", "--runs", runs, "--format", "latex").stdout


def test_every_latex_table_has_a_label_of_its_own(runs: Path) -> None:
    text = run_rpobench("report", "--runs", runs, "--format", "latex").stdout
    labels = [line for line in text.splitlines() if line.startswith("\\label{tab:")]

    assert len(labels) == len(set(labels)) == text.count("\\begin{table}")


def test_markdown_holds_no_html(runs: Path) -> None:
    text = run_rpobench("report", "--runs", runs, "--format", "md").stdout

    assert "<" not in text.replace("\\<", "") and "the second italic" in text
