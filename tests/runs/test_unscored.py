"""Splits without targets, as LaMP's test split is: predicted, stored, exported, and called unscored everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
from command_line import run_rpobench
from official_files import write_official_split

from rpobench import get_task
from rpobench.data.sources import Source
from rpobench.data.synth.world import generate
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import StoredRun
from rpobench.submissions.check import check_runs
from rpobench.types import RpobenchError

SAYS = "unscored: the split has no targets"
METHODS = "zero-shot,rag-bm25,majority"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official folder: LaMP-3's test split has no targets, LaMP-7's has, and both can be trained on."""
    root: Path = tmp_path_factory.mktemp("official") / "lamp"
    for name in ("LaMP-3", "LaMP-7"):
        for split, count in (("train", 6), ("test", 5)):
            write_official_split(root, name, split, generate(name, split, count).labelled)
    (root / "LaMP_3" / "test_outputs.json").unlink()
    return root


def run_test_split(folder: Path, out: Path, *options: str) -> str:
    what = ("run", "--method", METHODS, "--task", "LaMP-3,LaMP-7", "--data", folder, "--split", "test")
    done = run_rpobench(*what, "--base-model", "scripted:echo", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("mixed") / "runs"
    run_test_split(folder, out)
    return out


def find_run(runs: Path, method: str, task: str = "LaMP-3") -> StoredRun:
    (run,) = (
        run for run in ResultStore(runs).find_runs(method=method) if run.task_name == task and run.has_own_profiles
    )
    return run


def test_a_split_without_targets_is_predicted_and_not_scored(runs: Path) -> None:
    run = find_run(runs, "rag-bm25")

    assert not run.is_scored and run.result.n == len(run.predictions()) == 5
    assert run.result.metrics == run.result.scores == {} and run.main_value is None
    assert list(run.predictions()) == run.example_ids
    assert find_run(runs, "rag-bm25", "LaMP-7").is_scored, "one task's targets do not depend on another's"


def test_nothing_unscored_has_a_control(runs: Path) -> None:
    swapped = [run.task_name for run in ResultStore(runs).find_runs(profiles="swapped")]

    assert swapped == ["LaMP-7"]


def test_trained_methods_train_on_the_train_split(runs: Path, folder: Path) -> None:
    spec = find_run(runs, "majority").fit_spec

    assert spec is not None and spec.data[0].split == "train"
    assert spec.data[0].sha256 == Source(str(folder)).load_training(get_task("LaMP-3")).sha256


def test_the_command_says_which_rows_are_unscored(folder: Path, tmp_path: Path) -> None:
    table = run_test_split(folder, tmp_path / "runs")
    summaries = json.loads(run_test_split(folder, tmp_path / "runs", "--json"))

    assert SAYS in table and "rpobench export" in table and "0.000" not in table.split("LaMP-7")[0]
    assert {(row["task"], row.get("unscored", False), bool(row["metrics"])) for row in summaries} == {
        ("LaMP-3", True, False),
        ("LaMP-7", False, True),
    }


def test_the_same_command_finds_its_unscored_runs_finished(folder: Path, tmp_path: Path) -> None:
    run_test_split(folder, tmp_path / "runs")
    before = {run.name: run.folder.stat().st_mtime_ns for run in ResultStore(tmp_path / "runs").find_runs()}

    run_test_split(folder, tmp_path / "runs")

    assert {run.name: run.folder.stat().st_mtime_ns for run in ResultStore(tmp_path / "runs").find_runs()} == before


@pytest.mark.parametrize("split", ["train", "dev"])
def test_only_the_test_split_may_lack_targets(folder: Path, tmp_path: Path, split: str) -> None:
    write_official_split(tmp_path, "LaMP-3", split, generate("LaMP-3", split, 3).labelled)
    (tmp_path / "LaMP_3" / f"{split}_outputs.json").unlink()

    with pytest.raises(RpobenchError, match=f"{split}_outputs.json: absent"):
        Source(str(tmp_path), split).load_scored(get_task("LaMP-3"))


def test_holdout_trains_on_no_split_without_targets(folder: Path, tmp_path: Path) -> None:
    done = run_rpobench(
        *("run", "--method", "majority", "--task", "LaMP-3", "--data", folder, "--split", "test"),
        *("--holdout", "0.5", "--base-model", "scripted:echo", "--out", tmp_path),
    )

    assert done.returncode == 1 and "test_outputs.json: absent" in done.stderr


def test_targets_make_another_data_set(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "lamp")
    write_official_split(copy, "LaMP-3", "test", generate("LaMP-3", "test", 5).labelled)

    hashes = {Source(str(root), "test").load_scored(get_task("LaMP-3")).sha256 for root in (folder, copy)}

    assert len(hashes) == 2


def test_lists_and_reports_name_unscored_runs(runs: Path) -> None:
    listed = run_rpobench("list", "runs", "--runs", runs).stdout
    report = run_rpobench("report", "--runs", runs, "--format", "md").stdout
    name = find_run(runs, "rag-bm25").name

    (line,) = (line for line in listed.splitlines() if line.startswith(name))
    assert "unscored" in line and "0.000" not in line
    tables, unscored = report.split(f"## {SAYS.capitalize()}")
    assert f"| rag-bm25 | LaMP-3 | test | 5 | 0 | {name} |" in unscored
    assert "LaMP-7" in tables and "LaMP-3" not in tables


@pytest.mark.parametrize("form", ["csv", "latex", "html"])
def test_other_forms_of_the_report_leave_them_out_aloud(runs: Path, form: str) -> None:
    done = run_rpobench("report", "--runs", runs, "--format", form)
    name = find_run(runs, "rag-bm25").name

    assert done.returncode == 0 and f"{name}: {SAYS}" in done.stderr
    assert name not in done.stdout


def test_a_report_of_nothing_else_is_no_fault(runs: Path) -> None:
    done = run_rpobench("report", "--runs", runs, "--task", "LaMP-3")

    assert done.returncode == 0 and SAYS.capitalize() in done.stdout


def test_unscored_runs_are_not_compared(runs: Path) -> None:
    refused = run_rpobench("compare", "rag-bm25", "zero-shot", "--runs", runs, "--task", "LaMP-3")
    compared = run_rpobench("compare", "rag-bm25", "zero-shot", "--runs", runs, "--task", "LaMP-7")

    assert refused.returncode == 1 and SAYS in refused.stderr and "Traceback" not in refused.stderr
    assert compared.returncode == 0


def test_show_prints_predictions_without_score_and_target(runs: Path, folder: Path) -> None:
    name = find_run(runs, "rag-bm25").name

    shown = run_rpobench("show", name, "--runs", runs, "--data", folder)
    entries = json.loads(run_rpobench("show", name, "--runs", runs, "--data", folder, "--json").stdout)
    worst = run_rpobench("show", name, "--runs", runs, "--data", folder, "--worst", "2")

    assert SAYS in shown.stdout and "score 0" not in shown.stdout
    assert len(entries) == 5 and all(entry["score"] is entry["target"] is None for entry in entries)
    assert all(entry["input"] and entry["evidence"] for entry in entries)
    assert worst.returncode == 1 and f"--worst 2: the run is {SAYS}" in worst.stderr


def test_check_finds_no_fault_and_says_why_there_are_no_scores(runs: Path, folder: Path) -> None:
    for data in (None, str(folder)):
        reports = {report.run: report for report in check_runs(runs, data)}

        assert [report.faults for report in reports.values()] == [[]] * len(reports)
        assert SAYS in reports[find_run(runs, "rag-bm25").name].notes


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("scores", {"x": 1.0}, "and scores stand in it"),
        ("metrics", {"MAE": 0.0}, "and scores stand in it"),
        ("n", 4, "n is 4"),
    ],
)
def test_check_names_what_was_changed(runs: Path, tmp_path: Path, field: str, value: object, fault: str) -> None:
    copy = shutil.copytree(find_run(runs, "zero-shot").folder, tmp_path / find_run(runs, "zero-shot").name)
    write_json(copy / "result.json", {**read_json(copy / "result.json"), field: value})

    (report,) = check_runs(copy)

    assert any(fault in line for line in report.faults)


def test_unscored_runs_are_not_packed(runs: Path, tmp_path: Path) -> None:
    done = run_rpobench("pack", "--runs", runs, "--out", tmp_path / "packed")
    packed = ResultStore(tmp_path / "packed").find_runs()

    assert f"{SAYS}: `rpobench export`" in done.stderr + done.stdout
    assert {run.task_name for run in packed} == {"LaMP-7"}


def test_reparse_reads_an_unscored_run_again(runs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(runs, tmp_path / "runs")

    assert run_rpobench("reparse", copy).returncode == 0


def test_the_submission_holds_every_task_in_the_official_form(runs: Path, folder: Path, tmp_path: Path) -> None:
    done = run_rpobench("export", "rag-bm25", "--split", "test", "--runs", runs, "--out", tmp_path / "preds.zip")

    assert done.returncode == 0, done.stderr
    assert "without LaMP-1, LaMP-2, LaMP-4, LaMP-5, LaMP-6" in done.stderr

    with ZipFile(tmp_path / "preds.zip") as zipped:
        assert zipped.namelist() == ["LaMP_3.json", "LaMP_7.json"]
        content = json.loads(zipped.read("LaMP_3.json"))
    questions = json.loads((folder / "LaMP_3" / "test_questions.json").read_text())

    assert content["task"] == "LaMP_3"
    assert [gold["id"] for gold in content["golds"]] == [question["id"] for question in questions]
    assert all(set(gold) == {"id", "output"} and gold["output"] in "12345" for gold in content["golds"])


def test_a_part_of_the_split_is_exported_with_a_warning(folder: Path, tmp_path: Path) -> None:
    run_test_split(folder, tmp_path / "runs", "--limit", "2")

    done = run_rpobench("export", "zero-shot", "--runs", tmp_path / "runs", "--out", tmp_path / "preds.zip")

    assert done.returncode == 0 and "examples of its split; LaMP's scorer wants all" in done.stderr


def test_an_estimate_of_a_split_without_targets(folder: Path, tmp_path: Path) -> None:
    done = run_rpobench(
        *("run", "--method", "rag-bm25", "--task", "LaMP-3", "--data", folder, "--split", "test"),
        *("--base-model", "scripted:echo", "--out", tmp_path, "--dry-run", "--json"),
    )

    assert done.returncode == 0 and json.loads(done.stdout)["calls"] == 5


def test_imported_predictions_of_it_are_an_unscored_run(runs: Path, folder: Path, tmp_path: Path) -> None:
    run_rpobench("export", find_run(runs, "rag-bm25").name, "--runs", runs, "--out", tmp_path / "preds.zip")

    done = run_rpobench(
        *("import", "--task", "LaMP-3", "--preds", tmp_path / "preds.zip", "--name", "mine", "--data", folder),
        *("--split", "test", "--out", tmp_path / "imported"),
    )

    assert done.returncode == 0 and SAYS in done.stderr
    assert not find_run(tmp_path / "imported", "mine").is_scored


def test_scoring_against_withheld_targets_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "preds.json").write_text("{}")

    done = run_rpobench(
        *("score", "--task", "LaMP-3", "--golds", folder / "LaMP_3" / "test_outputs.json"),
        *("--preds", tmp_path / "preds.json"),
    )

    assert done.returncode == 1 and "LaMP withholds the targets" in done.stderr


def test_unscored_runs_are_removed_like_others(runs: Path, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs, tmp_path / "runs"))
    unscored, scored = find_run(copy, "rag-bm25"), find_run(copy, "rag-bm25", "LaMP-7")

    by_filter = run_rpobench("rm", "--task", "LaMP-3", "--data", folder, "--yes", "--runs", copy)

    assert by_filter.returncode == 0, by_filter.stderr
    assert not unscored.folder.exists() and scored.folder.exists() and not list(copy.glob("fits/*/spec.json"))

    by_row = run_rpobench("rm", "rag-bm25", "--yes", "--runs", copy)
    assert by_row.returncode == 0 and [path.name.split("-")[2] for path in copy.glob("LaMP-*")] == ["zero"]
