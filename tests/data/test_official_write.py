"""Data sets written as official folders: what loads back is what was written, and real data is never overwritten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rpobench import get_task
from rpobench.cli.data import app
from rpobench.cli.main import app as cli
from rpobench.data.dataset import DataSet
from rpobench.data.official.defects import find_defects
from rpobench.data.official.folder import load_official
from rpobench.data.official.writer import write_official
from rpobench.data.sources import Source
from rpobench.data.synth.world import MECHANISMS, generate
from rpobench.types import Example, Labelled, ProfileItem, RpobenchError


@pytest.mark.parametrize("name", MECHANISMS)
def test_the_written_world_loads_back_and_has_no_error(tmp_path: Path, name: str) -> None:
    data, task = generate(name, "dev", 30, seed=7), get_task(name)
    write_official(data, tmp_path)
    loaded = load_official(task, tmp_path, "dev")
    assert loaded.labelled == data.labelled and loaded.sha256 == data.sha256 and loaded.users == "given"
    assert [defect for defect in find_defects(tmp_path, [task]) if defect.level == "error"] == []


def test_a_folder_of_synthetic_data_says_so_and_its_results_too(tmp_path: Path) -> None:
    data, task = generate("LaMP-3", "dev", 4), get_task("LaMP-3")
    write_official(data, tmp_path / "made")

    assert "Synthetic, not LaMP" in (tmp_path / "made" / "SYNTHETIC.md").read_text()

    for folder in (tmp_path / "made", tmp_path / "made" / "LaMP_3"):
        assert load_official(task, folder, "dev").synthetic and Source(str(folder)).synthetic
    write_official(replace(data, synthetic=False), tmp_path / "real")

    assert not load_official(task, tmp_path / "real", "dev").synthetic
    assert not Source(str(tmp_path / "real")).synthetic and Source("synth:7").synthetic


def test_what_is_not_known_is_not_written(tmp_path: Path) -> None:
    items = (
        ProfileItem("p", {"text": "good", "score": "4"}),
        ProfileItem("q", {"text": "bad", "score": "1"}, date(2020, 5, 1)),
    )
    data = DataSet("LaMP-3", "x", "dev", (Labelled(Example("1", "user-1", "review", items), "5"),), users="inferred")
    write_official(data, tmp_path)
    (question,) = json.loads((tmp_path / "LaMP_3" / "dev_questions.json").read_text())

    assert question == {
        "id": "1",
        "input": "review",
        "profile": [
            {"id": "p", "text": "good", "score": "4"},
            {"id": "q", "text": "bad", "score": "1", "date": "2020-05-01"},
        ],
    }

    outputs = json.loads((tmp_path / "LaMP_3" / "dev_outputs.json").read_text())
    assert outputs == {"task": "LaMP_3", "golds": [{"id": "1", "output": "5"}]}


@pytest.mark.parametrize("standing", ["dev_questions.json", "dev_outputs.json"])
def test_a_file_that_stands_is_left_alone(tmp_path: Path, standing: str) -> None:
    file = tmp_path / "LaMP_3" / standing
    file.parent.mkdir()
    file.write_text("real")

    with pytest.raises(RpobenchError, match=f"{standing}: stands already"):
        write_official(generate("LaMP-3", "dev", 2), tmp_path)
    assert [path.name for path in file.parent.iterdir()] == [standing] and file.read_text() == "real"
    assert not (tmp_path / "SYNTHETIC.md").exists()


def synth(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["synth", *map(str, arguments)])


def test_the_command_writes_tasks_and_splits_of_a_world(tmp_path: Path) -> None:
    done = synth("--out", tmp_path, "--task", "LaMP-3,LaMP-7", "--split", "train,dev", "--n", 3, "--seed", 5)
    assert done.exit_code == 0
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*_*.json")) == [
        f"LaMP_{number}/{split}_{part}.json"
        for number in (3, 7)
        for split in ("dev", "train")
        for part in ("outputs", "questions")
    ]

    loaded = load_official(get_task("LaMP-7"), tmp_path, "train")
    assert loaded.sha256 == Source("synth:5", training_limit=3).load_training(get_task("LaMP-7")).sha256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "LaMP-2N"), "no synthetic data for task LaMP-2N"),
        (("--split", "eval"), "no split eval"),
        (("--task", "LaMP-3"), "LaMP_3/dev_questions.json: stands already"),
    ],
)
def test_the_command_refuses_in_a_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert synth("--out", tmp_path, "--task", "LaMP-3", "--n", 1).exit_code == 0
    refused = synth("--out", tmp_path, "--n", 1, *arguments).exception
    assert isinstance(refused, RpobenchError) and message in str(refused)


def test_the_command_refuses_the_name_of_the_world_as_folder(tmp_path: Path) -> None:
    for name in ("synth", "synth-v1", "synth-v9"):
        refused = synth("--out", tmp_path / name, "--task", "LaMP-3", "--n", 1).exception
        assert isinstance(refused, RpobenchError) and "choose another name" in str(refused)


def test_a_folder_named_as_a_world_is_refused(tmp_path: Path) -> None:
    write_official(generate("LaMP-3", "dev", 2), tmp_path / "synth-v1")
    for folder in ("synth-v1", "synth-v1/LaMP_3"):
        with pytest.raises(RpobenchError, match="'synth-v1' stands for the synthetic world: rename the folder"):
            Source(str(tmp_path / folder)).load_scored(get_task("LaMP-3"))


def test_a_folder_takes_one_version_of_the_world(tmp_path: Path) -> None:
    write_official(generate("LaMP-3", "train", 2, version="synth-v1"), tmp_path)
    with pytest.raises(RpobenchError, match="another world stands here than synth-v2"):
        write_official(generate("LaMP-3", "dev", 2), tmp_path)
    assert not list(tmp_path.glob("*/dev*"))
    write_official(generate("LaMP-3", "dev", 2, version="synth-v1"), tmp_path)


def test_a_run_on_the_written_folder_is_shown_as_synthetic(tmp_path: Path) -> None:
    assert synth("--out", tmp_path / "made", "--task", "LaMP-3", "--n", 3).exit_code == 0

    run_command = ["run", "--method", "zero-shot", "--task", "LaMP-3", "--base-model", "scripted:echo"]
    done = CliRunner().invoke(cli, [*run_command, "--data", str(tmp_path / "made"), "--out", str(tmp_path / "runs")])

    assert done.exit_code == 0 and "synthetic, not LaMP" in done.stdout

    show_command = [
        "show",
        "LaMP-3-zero-shot",
        "--runs",
        str(tmp_path / "runs"),
        "--data",
        str(tmp_path / "made"),
        "--json",
    ]

    assert len(json.loads(CliRunner().invoke(cli, show_command).stdout)) == 3
