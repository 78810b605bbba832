"""`rpobench import`: forms of predictions, and `--like RUN`, which says what they are held against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_rpobench

from rpobench.data.sources import Source
from rpobench.registry import get_task
from rpobench.store.result_store import ResultStore

DATA = "synth:7?noise=0.1"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a scripted model on another world than the default, its test split, with a limit."""
    folder = tmp_path_factory.mktemp("import") / "runs"
    plan = ("--method", "zero-shot", "--task", "LaMP-3", "--base-model", "scripted:echo", "--no-swap", "--limit", "5")
    result = run_rpobench("run", *plan, "--data", DATA, "--split", "test", "--out", folder)

    assert result.returncode == 0, result.stderr
    return folder


def write_answers(file: Path, count: int = 5, data: str = DATA) -> Path:
    """Perfect predictions for the examples of the run, as `{id: text}`."""
    labelled = Source(data, "test", scored_limit=count).load_scored(get_task("LaMP-3")).labelled
    file.write_text(json.dumps({example.example.id: example.target for example in labelled}))
    return file


def test_like_takes_data_split_and_base_model_from_a_run(runs: Path, tmp_path: Path) -> None:
    preds = write_answers(tmp_path / "preds.json")
    (model_run,) = ResultStore(runs).find_runs(method="zero-shot")

    done = run_rpobench("import", "--preds", preds, "--name", "theirs", "--like", model_run.name, "--out", runs)

    assert done.returncode == 0, done.stderr
    imported = ResultStore(runs).find(Path(done.stdout.strip()).name)
    assert (imported.spec.task, imported.spec.data) == (model_run.spec.task, model_run.spec.data)
    assert (imported.spec.base_model, imported.spec.data.split) == ("scripted:echo", "test")
    assert imported.result.metrics["MAE"] == 0
    compared = run_rpobench("compare", imported.name, model_run.name, "--runs", runs)
    assert compared.returncode == 0, compared.stderr


def test_like_takes_the_path_of_a_run_elsewhere(runs: Path, tmp_path: Path) -> None:
    preds = write_answers(tmp_path / "preds.json")
    (model_run,) = ResultStore(runs).find_runs(method="zero-shot")
    options = ("--like", runs / model_run.name, "--base-model", "theirs-7b", "--out", tmp_path / "other")

    done = run_rpobench("import", "--preds", preds, "--name", "theirs", *options)

    imported = ResultStore(tmp_path / "other").find(Path(done.stdout.strip()).name)
    assert (imported.spec.data, imported.spec.base_model) == (model_run.spec.data, "theirs-7b")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--like", "zero-shot", "--split", "dev"), "--split dev: --like takes it from the run"),
        (("--like", "zero-shot", "--limit", "5"), "--limit 5: --like takes it from the run"),
        (("--like", "zero-shot", "--data", "synth:8"), "--data synth:8: --like takes it from the run"),
        (("--like", "zero-shot", "--task", "LaMP-2"), "--task LaMP-2: "),
        (("--like", "nothing"), "no run named 'nothing'"),
        ((), "--task: is not given"),
    ],
)
def test_what_contradicts_like_is_refused(runs: Path, tmp_path: Path, options: tuple[str, ...], fault: str) -> None:
    preds = write_answers(tmp_path / "preds.json")

    done = run_rpobench("import", "--preds", preds, "--name", "theirs", "--out", runs, *options)

    assert done.returncode == 1 and fault in done.stderr and len(done.stderr.splitlines()) == 1


def test_answers_to_other_examples_than_the_runs_are_refused(runs: Path, tmp_path: Path) -> None:
    preds = write_answers(tmp_path / "preds.json", count=4)

    done = run_rpobench("import", "--preds", preds, "--name", "theirs", "--like", "zero-shot", "--out", runs)

    assert done.returncode == 1 and "lacks id" in done.stderr


def test_like_a_run_on_a_folder_needs_the_same_folder(tmp_path: Path) -> None:
    runs, preds = tmp_path / "runs", tmp_path / "preds.json"
    for name, seed in (("mine", "1"), ("other", "2")):
        run_rpobench("data", "synth", "--out", tmp_path / name, "--task", "LaMP-3", "--n", "4", "--seed", seed)
    plan = ("--method", "zero-shot", "--task", "LaMP-3", "--base-model", "scripted:echo", "--no-swap", "--limit", "2")
    run_rpobench("run", *plan, "--data", tmp_path / "mine", "--out", runs)
    golds = json.loads((tmp_path / "mine" / "LaMP_3" / "dev_outputs.json").read_text())["golds"]
    (model_run,) = ResultStore(runs).find_runs()
    preds.write_text("".join(json.dumps(gold) + "\n" for gold in golds if gold["id"] in model_run.result.scores))
    command = ("import", "--preds", preds, "--name", "theirs", "--like", "zero-shot", "--out", runs)

    without = run_rpobench(*command)
    elsewhere = run_rpobench(*command, "--data", tmp_path / "other")
    done = run_rpobench(*command, "--data", tmp_path / "mine")

    assert without.returncode == 1 and "say where that folder is with --data" in without.stderr
    assert elsewhere.returncode == 1 and "holds other examples than that run's" in elsewhere.stderr
    assert done.returncode == 0, done.stderr
