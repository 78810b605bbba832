"""The command line: what programs read on stdout, what people read on stderr, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import CommandResult, run_rpobench
from paths import LAMP_SAMPLE, PLUGIN
from shared_data import require_shared
from typer.testing import CliRunner

import rpobench
from rpobench import registry
from rpobench.cli.main import app
from rpobench.runs.plan import Plan
from rpobench.types import RpobenchError


@pytest.fixture(autouse=True, scope="module")
def surroundings() -> Iterator[None]:
    """Somebody else's package is installed, and nobody's terminal decides the width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN))
        patch.setenv("COLUMNS", "200")
        registry._entry_points_by_name.cache_clear()
        yield
    registry._entry_points_by_name.cache_clear()


def assert_fails(result: CommandResult, *words: str) -> None:
    """It ends with exit code 1 and one line on stderr that holds these words."""
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1 and result.stderr.startswith("rpobench: ")
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two methods on two tasks."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    result = run_rpobench(*PLAN, "--method", "zero-shot,peek", "--task", "LaMP-3,LaMP-7", "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


PLAN = ("run", "--base-model", "scripted:echo", "--limit", "6")


def test_help_is_quick_to_import_and_names_the_commands() -> None:
    result = run_rpobench("--help")

    assert result.returncode == 0
    for name in ("run", "list", "score", "show", "report"):
        assert f" {name} " in result.stdout

    code = (
        "import sys; sys.argv = ['rpobench', '--help']\n"
        "from rpobench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'numpy', 'pydantic') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[]"


def test_version_is_printed() -> None:
    assert run_rpobench("--version").stdout.strip() == rpobench.__version__


def test_a_command_of_another_package_is_imported_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "toy_methods", raising=False)

    run_rpobench("list", "tasks")

    assert "toy_methods" not in sys.modules
    assert run_rpobench("greet").stdout == "hello\n"
    assert "A command of somebody else" in run_rpobench("--help").stdout


def test_run_json_is_one_array_and_the_rest_goes_to_stderr(runs: Path) -> None:
    result = run_rpobench(*PLAN, "--method", "zero-shot,peek", "--task", "LaMP-3,LaMP-7", "--out", runs, "--json")

    summaries = json.loads(result.stdout)
    assert [(summary["method"], summary["task"]) for summary in summaries] == [
        (method, task) for method in ("zero-shot", "peek") for task in ("LaMP-3", "LaMP-7")
    ]
    assert summaries[1]["references"]["swapped"] is None and summaries[2]["references"]["swapped"] is not None


def test_run_ends_with_a_table_that_says_what_it_rests_on(tmp_path: Path) -> None:
    result = run_rpobench(*PLAN, "--method", "peek", "--task", "LaMP-3", "--out", tmp_path / "runs")

    for word in ("synthetic, not LaMP", "MAE ↓", "draft", "swapped", "gain", "best generic", "oracle", "seconds"):
        assert word in result.stdout
    for word in ("LaMP-3 peek", "/s", "left"):
        assert word in result.stderr, "progress in plain lines"


def test_list_names_every_group(runs: Path) -> None:
    assert run_rpobench("list", "tasks").stdout.split()[:2] == ["LaMP-1", "LaMP-2"]
    assert {"zero-shot", "rag-bm25", "rpo", "peek"} <= set(json.loads(run_rpobench("list", "methods", "--json").stdout))
    assert "smollm2-135m" in run_rpobench("list", "models").stdout
    assert "bm25" in run_rpobench("list", "retrievers").stdout
    assert sum("peek" in line for line in run_rpobench("list", "runs", "--runs", runs).stdout.splitlines()) == 4


def test_show_puts_input_draft_and_target_side_by_side(runs: Path) -> None:
    names = json.loads(run_rpobench("list", "runs", "--runs", runs, "--json").stdout)
    swapped_run = next(name for name in names if "LaMP-7-peek-swapped" in name)
    run = next(name for name in names if "LaMP-7-peek" in name and "swapped" not in name)

    entries = json.loads(run_rpobench("show", run, "--runs", runs, "--json").stdout)
    swapped_entries = json.loads(run_rpobench("show", swapped_run, "--runs", runs, "--json").stdout)
    table = run_rpobench("show", run, "--runs", runs, "--example", entries[2]["example"]).stdout
    unknown_example = run_rpobench("show", run, "--runs", runs, "--example", "none")
    unknown_run = run_rpobench("show", "no-such-run", "--runs", runs)

    assert len(entries) == 6
    assert {"example", "input", "evidence", "draft", "prediction", "target", "score"} <= set(entries[0])
    assert entries[0]["prediction"] != swapped_entries[0]["prediction"]
    assert entries[0]["target"] == swapped_entries[0]["target"]
    assert entries[2]["target"] in table and entries[1]["example"] not in table
    assert_fails(unknown_example, "--example none", entries[0]["example"])
    assert_fails(unknown_run, "no-such-run", "rpobench list runs")


def test_report_in_both_forms(runs: Path, tmp_path: Path) -> None:
    text = run_rpobench("report", "--runs", runs).stdout
    assert "synthetic, not LaMP" in text and "| peek |" in text and "**" in text

    result = run_rpobench("report", "--runs", runs, "--format", "csv", "--out", tmp_path / "table.csv", "--no-text")
    assert result.stdout == "" and len((tmp_path / "table.csv").read_text().splitlines()) == 9

    assert_fails(run_rpobench("report", "--runs", runs, "--format", "xls"), "--format xls", "md, csv")
    assert_fails(run_rpobench("report", "--runs", tmp_path / "none"), "no finished run")


def test_score_takes_official_files(tmp_path: Path) -> None:
    golds, preds = tmp_path / "golds.json", tmp_path / "preds.json"
    golds.write_text(json.dumps({"task": "LaMP_3", "golds": [{"id": "1", "output": "5"}, {"id": "2", "output": "3"}]}))
    preds.write_text(json.dumps({"task": "LaMP_3", "golds": [{"id": "2", "output": "3"}, {"id": "1", "output": "x"}]}))

    result = run_rpobench("score", "--task", "LaMP-3", "--golds", golds, "--preds", preds, "--json")
    assert json.loads(result.stdout) == {"MAE": 2.0, "RMSE": pytest.approx(8**0.5)}

    preds.write_text("<html>")
    assert_fails(
        run_rpobench("score", "--task", "LaMP-3", "--golds", golds, "--preds", preds), "preds.json", "web page"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "zero-shoot", "--task", "LaMP-3"), ("zero-shoot", "zero-shot")),
        (("--method", "zero-shot", "--task", "LaMP-33"), ("LaMP-33", "LaMP-3")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--base-model", "scritped:echo"), ("scritped", "scripted")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--set", "k"), ("--set k", "key=value")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--set", "k=1"), ("--set k", "zero-shot")),
        (("--method", "peek", "--task", "LaMP-3", "--set", "index=x"), ("index=x", "integer")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--seed", "x"), ("--seed x", "whole numbers")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--data", "no/where"), ("no/where",)),
        (("--method", "zero-shot", "--task", "LaMP-3", "--profiles", "both"), ("--profiles both", "own, swapped")),
        (("--method", "zero-shot", "--task", "LaMP-3", "--preset", "huge"), ("huge", "quick")),
        (("--method", "silent", "--task", "LaMP-3"), ("silent",)),
    ],
)
def test_a_fault_is_one_line_and_no_traceback(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    options = ("--limit", "2", "--base-model", "scripted:echo", "--out", tmp_path / "runs")

    result = run_rpobench("run", *options, *arguments)

    assert result.returncode == 1 and result.stdout == "" and "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("rpobench: ")]
    for word in words:
        assert word in line


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(RpobenchError, match="unknown method 'nothing'"):
        run_rpobench("--debug", "run", "--method", "nothing", "--task", "LaMP-3")


@pytest.mark.parametrize("arguments", [("run",), ("nonsense",), ("run", "--nonsense"), ("run", "--limit", "0")])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run_rpobench(*arguments)

    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "runs"

    result = run_rpobench(*PLAN, "--method", "zero-shot", "--task", "LaMP-3", "--out", out)

    assert result.returncode == 1 and str(out) in result.stderr and "Traceback" not in result.stderr


def test_texts_never_act_as_markup_or_control_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rpobench.cli.example_tables import print_examples
    from rpobench.runs.examples import ExampleEntry

    monkeypatch.setenv("COLUMNS", "200")
    hostile_text = "[bold red]x[/] \x1b[2J\x07 \u202egnp.exe \ud800"
    entry = ExampleEntry(
        example=hostile_text,
        user="u",
        draft=hostile_text,
        trajectory=hostile_text,
        prediction=hostile_text,
        score=0.5,
        failure=hostile_text,
        cut=3,
        length=1,
        input="📦 naïve\nline",
        evidence=[hostile_text],
        target=hostile_text,
    )

    print_examples([entry], trajectories=True)

    output = capsys.readouterr().out
    assert "[bold red]x[/]" in output and "\\x1b[2J" in output and "\\u202e" in output and "\\ud800" in output
    assert "\x1b[2J" not in output and "\u202e" not in output and "📦 naïve" in output

    with_trajectory = replace(entry, trajectory="History shows: x")
    for trajectories in (True, False):
        print_examples([with_trajectory], trajectories=trajectories)
        assert ("History shows: x" in capsys.readouterr().out) is trajectories


def test_the_real_sample_is_split_by_user(tmp_path: Path) -> None:
    data = require_shared(LAMP_SAMPLE)
    options = ("--task", "LaMP-3", "--data", data, "--holdout", "0.5", "--base-model", "scripted:echo", "--json")

    result = run_rpobench("run", "--method", "zero-shot,peek,learner", *options, "--out", tmp_path / "runs")

    assert result.returncode == 0, result.stderr
    summaries = {summary["method"]: summary for summary in json.loads(result.stdout)}
    assert summaries["learner"]["n"] == summaries["zero-shot"]["n"] == 25
    assert summaries["learner"]["metrics"]["MAE"] < summaries["zero-shot"]["metrics"]["MAE"]


def test_show_leaves_texts_out_of_a_run_made_with_no_text(tmp_path: Path) -> None:
    result = run_rpobench(
        *("run", "--method", "zero-shot", "--task", "LaMP-7", "--limit", "2", "--base-model", "scripted:echo"),
        *("--out", tmp_path, "--no-text", "--json"),
    )
    (summary,) = json.loads(result.stdout)

    entries = json.loads(run_rpobench("show", summary["run"], "--runs", tmp_path, "--json").stdout)

    assert [entry["input"] for entry in entries] == [None, None] == [entry["target"] for entry in entries]
    assert all(entry["example"] and entry["score"] is not None for entry in entries)


def test_runs_of_a_folder_that_is_not_there_are_no_empty_list(tmp_path: Path) -> None:
    missing = tmp_path / "none"

    assert_fails(run_rpobench("list", "runs", "--runs", missing), f"--runs {missing}", "no such folder")
    assert run_rpobench("list", "runs", "--runs", tmp_path, "--json").stdout == "[]\n"


@pytest.mark.parametrize("seed", ["-1", "0,4294967296"])
def test_a_seed_that_no_library_takes_is_refused(tmp_path: Path, seed: str) -> None:
    options = ("--method", "zero-shot", "--task", "LaMP-3", "--out", tmp_path / "runs")

    result = run_rpobench(*PLAN, *options, "--seed", seed)

    assert_fails(result, "--seed")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("command", "runner"),
    [
        (("run", "--method", "rpo"), "rpobench.runs.benchmark.run"),
        (("transfer", "--train-on", "a", "--apply-to", "b"), "rpobench.runs.transfer.transfer"),
    ],
)
def test_commands_that_train_take_a_limit_of_training(
    command: tuple[str, ...], runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def note(plan: Plan, *models: object) -> list[object]:
        plans.append(plan)
        return []

    monkeypatch.setattr(runner, note)
    done = CliRunner().invoke(app, [*command, "--task", "LaMP-3", "--limit", "3", "--train-limit", "7", "--json"])

    assert done.exit_code == 0, done.output
    assert [(plan.limit, plan.train_limit) for plan in plans] == [(3, 7)]
