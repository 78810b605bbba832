"""Floors and a ceiling where no oracle is: what copies and counts score, and the own item closest to the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from official_files import write_official_split
from typer.testing import CliRunner

import rpobench
from rpobench import get_task
from rpobench.cli.main import app
from rpobench.data.dataset import DataSet
from rpobench.data.synth.world import generate
from rpobench.scoring.floors import rate_floors
from rpobench.scoring.references import rate_best_own_items
from rpobench.scoring.selection import RunFolders, choose_runs
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.submissions.check import check_runs
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, ProfileItem, RpobenchError

FLOOR_TASKS = ("LaMP-2", "LaMP-3", "LaMP-4", "LaMP-7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts without references, as real data has none."""
    root = tmp_path_factory.mktemp("data") / "real"
    for task in ("LaMP-1", *FLOOR_TASKS):
        write_official_split(root, task, "dev", generate(task, "dev", 8).labelled)
        write_official_split(root, task, "train", generate(task, "train", 4).labelled)
    return root


def run_on(folder: Path, out: Path, methods: str, tasks: str, **options: Any) -> None:
    rpobench.run(methods, tasks, data=folder, base_model="scripted:echo", out=out, swap=False, **options)


def make_data(task: Task, *examples: tuple[str, Sequence[str]]) -> DataSet:
    """A data set of targets, each with the answers of its user's items."""
    labelled = []
    for number, (target, answers) in enumerate(examples):
        items = []
        for position, answer in enumerate(answers):
            fields = dict.fromkeys(task.fields, "some words") | {task.answer_field: answer}
            items.append(ProfileItem(f"{number}-{position}", fields))
        example = Example(str(number), f"user{number}", f"{task.instruction}a question", tuple(items))
        labelled.append(Labelled(example, target))
    return DataSet(task.name, "real", "dev", labelled)


@pytest.mark.parametrize("task", FLOOR_TASKS)
def test_a_floor_is_what_its_method_scores(folder: Path, tmp_path: Path, task: str) -> None:
    run_on(folder, tmp_path, "zero-shot,copy-input,nearest-target,majority", task)

    runs = {run.spec.method: run for run in ResultStore(tmp_path).find_runs()}
    references = runs.pop("zero-shot").result.references
    floors = {method.replace("-", "_") for method in runs}
    assert len(floors) == 2 and references.keys() == {*floors, "best_own_item", "draft"}
    for method, run in runs.items():
        assert references[method.replace("-", "_")] == run.result.metrics


@pytest.mark.parametrize("task_name", FLOOR_TASKS)
def test_no_method_that_copies_one_item_does_better(task_name: str) -> None:
    task, data = get_task(task_name), generate(task_name, "dev", 30)
    targets = [pair.target for pair in data.labelled]
    ceiling = rate_best_own_items(task, data.labelled)
    assert ceiling is not None

    choices = [lambda pair, rng: rng.choice(pair.example.profile)] * 20
    for metric in ("score", *task.metrics):
        choices.append(lambda pair, rng, metric=metric: closest_item(task, pair, metric))
    for seed, choose in enumerate(choices):
        rng = Random(seed)
        texts = [choose(pair, rng).fields[task.answer_field] for pair in data.labelled]

        for metric, value in task.aggregate(texts, targets).items():
            lead = value - ceiling.metrics[metric]
            assert (-lead if task.metrics[metric] == "min" else lead) < 1e-12
        for pair, text in zip(data.labelled, texts, strict=True):
            assert task.score(text, pair.target) <= ceiling.scores[pair.example.id]


def closest_item(task: Task, pair: Labelled, metric: str) -> ProfileItem:
    def rate(item: ProfileItem) -> float:
        answer = item.fields[task.answer_field]
        if metric == "score":
            return task.score(answer, pair.target)
        value = task.aggregate([answer], [pair.target])[metric]
        return -value if task.metrics[metric] == "min" else value

    return max(pair.example.profile, key=rate)


def test_of_ratings_the_smallest_error_counts() -> None:
    task = get_task("LaMP-3")
    data = make_data(task, ("5", ["1", "4"]), ("2", ["2", "5"]), ("3", ["1", "5"]))

    ceiling = rate_best_own_items(task, data.labelled)

    assert ceiling is not None
    assert ceiling.metrics == pytest.approx({"MAE": 1.0, "RMSE": (5 / 3) ** 0.5})
    assert ceiling.scores == {"0": 0.75, "1": 1.0, "2": 0.5}


def test_each_metric_of_texts_has_its_own_best_item() -> None:
    task = get_task("LaMP-4")
    reordered, short = "four three two one", "one two"
    data = make_data(task, ("one two three four", [reordered, short, "other words"]))

    ceiling = rate_best_own_items(task, data.labelled)

    assert ceiling is not None
    assert ceiling.metrics["rouge-1"] == task.aggregate([reordered], ["one two three four"])["rouge-1"] == 1.0
    assert ceiling.metrics["rouge-L"] == task.aggregate([short], ["one two three four"])["rouge-L"] > 0.25


def test_a_label_that_no_item_holds_is_no_answer() -> None:
    task = get_task("LaMP-2")
    data = make_data(task, ("comedy", ["comedy", "action"]), ("action", ["comedy", "comedy"]))

    ceiling = rate_best_own_items(task, data.labelled)

    assert ceiling is not None
    assert ceiling.metrics == task.aggregate(["comedy", ""], ["comedy", "action"])
    assert ceiling.metrics["f1"] > task.aggregate(["comedy", "comedy"], ["comedy", "action"])["f1"]


def test_a_user_without_items_has_nothing_to_copy() -> None:
    task = get_task("LaMP-3")
    data = make_data(task, ("2", []), ("4", ["4"]))

    references = rate_floors(task, data)

    assert references["best_own_item"].metrics == task.aggregate(["", "4"], ["2", "4"])
    assert "majority" not in references, "without items it takes the answer of all training users"
    assert references["nearest_target"].metrics == task.aggregate(["3", "4"], ["2", "4"])


def test_items_without_an_answer_have_no_ceiling(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-1")

    (run,) = ResultStore(tmp_path).find_runs()
    assert run.result.references.keys() == {"draft"}


def test_a_world_with_an_oracle_has_no_floors() -> None:
    assert rate_floors(get_task("LaMP-3"), generate("LaMP-3", "dev", 4)) == {}


def test_floors_are_rated_once_for_all_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rated = []

    def rate(task: Task, labelled: Sequence[Labelled]) -> None:
        rated.append(task.name)

    monkeypatch.setattr("rpobench.scoring.floors.rate_best_own_items", rate)
    run_on(folder, tmp_path, "zero-shot,copy-input", "LaMP-7", limit=5)

    assert rated == ["LaMP-7"]


def test_a_report_shows_floors_as_references(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-3,LaMP-7")

    table = read_main_table(tmp_path)

    assert list(table) == [
        "method", "zero-shot", "*copy-input*", "*nearest-target*", "*majority*",
        "*best own item (looks at the target)*",
    ]  # fmt: skip
    assert table["*copy-input*"][1] == "-" and float(table["*copy-input*"][2]) > 0
    assert table["*majority*"][2] == "-" and float(table["*majority*"][1]) > 0
    for label in list(table)[2:]:
        assert "**" not in "".join(table[label]), "a reference is never the best"


def test_a_floor_that_was_run_stands_among_the_methods_alone(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-3,LaMP-7")
    run_on(folder, tmp_path, "nearest-target", "LaMP-7")

    table = read_main_table(tmp_path)

    method, reference = table["nearest-target"], table["*nearest-target*"]
    assert method[1] == "-" != reference[1]
    assert method[2] != "-" == reference[2]


def test_the_best_own_item_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-7")

    for name in ("best_own_item", "best own item (looks at the target)"):
        with pytest.raises(RpobenchError, match="no run named"):
            choose_runs(RunFolders([tmp_path]), [name])
        assert name not in report(tmp_path, "csv")


def test_a_false_ceiling_is_found(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-3")
    (run,) = ResultStore(tmp_path).find_runs()
    result = read_json(run.folder / "result.json")
    result["references"]["best_own_item"]["MAE"] = 2.5
    write_json(run.folder / "result.json", result)

    (checked,) = check_runs(tmp_path, str(folder))

    (fault,) = checked.faults
    assert fault.startswith("result.json: references.best_own_item.MAE is 2.500000, from the predictions it is ")


def test_a_result_from_before_there_were_floors_is_in_order(folder: Path, tmp_path: Path) -> None:
    run_on(folder, tmp_path, "zero-shot", "LaMP-3")
    (run,) = ResultStore(tmp_path).find_runs()
    result = read_json(run.folder / "result.json")
    for content in (result, *result["examples"].values()):
        content["references"] = {"draft": content["references"]["draft"]}
    write_json(run.folder / "result.json", result)

    (checked,) = check_runs(tmp_path, str(folder))

    assert checked.faults == checked.notes == []
    assert list(read_main_table(tmp_path)) == ["method", "zero-shot"]


def report(runs: Path, form: str) -> str:
    done = CliRunner().invoke(app, ["report", "--runs", str(runs), "--format", form])
    assert done.exit_code == 0, done.output
    return done.stdout


def read_main_table(runs: Path) -> dict[str, list[str]]:
    """The cells of each row of the first table of a report, by the row's label."""
    lines = report(runs, "md").split("\n\n")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows if row[0] != "---"}
