"""`rpobench export`: the official submission, which scores to the run's own numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import typer
from typer.testing import CliRunner

import rpobench
from rpobench.cli.export import export
from rpobench.scoring.official import score, score_all
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.submissions.official_zip import build_submission, choose_submitted
from rpobench.types import RpobenchError

TASKS = ("LaMP-1", "LaMP-3", "LaMP-7")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("exported") / "runs"
    rpobench.run("zero-shot", ",".join(TASKS), base_model="scripted:echo", limit=6, out=out)
    return out


def names(runs: Path) -> list[str]:
    return [run.name for run in ResultStore(runs).find_runs()]


def golds(folder: Path) -> Path:
    """The golds of the runs' own examples as a zip."""
    from rpobench.data.sources import Source

    file = folder / "golds.zip"
    with ZipFile(file, "w") as zipped:
        for name in TASKS:
            data = Source(scored_limit=6).load_scored(rpobench.get_task(name))
            records = [{"id": one.example.id, "output": one.target} for one in data.labelled]
            official = name.replace("-", "_")
            zipped.writestr(f"{official}.json", json.dumps({"task": official, "golds": records}))
    return file


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_exported_run_scores_as_the_run_did(runs: Path, tmp_path: Path) -> None:
    done = invoke(*names(runs), "--runs", runs, "--out", tmp_path / "preds.zip")

    assert done.exit_code == 0, done.output

    found = score_all(golds(tmp_path), tmp_path / "preds.zip")
    kept = {run.task_name: run.result.metrics for run in ResultStore(runs).find_runs()}

    assert found == {name: pytest.approx(kept[name], abs=1e-12) for name in TASKS}
    assert score("LaMP-3", golds(tmp_path), tmp_path / "preds.zip") == pytest.approx(kept["LaMP-3"])


def test_the_zip_has_the_official_form_and_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(build_submission(choose_submitted(runs, names(runs))))

    assert build_submission(choose_submitted(runs, names(runs)[::-1])) == (tmp_path / "a.zip").read_bytes()

    with ZipFile(tmp_path / "a.zip") as zipped:
        assert zipped.namelist() == ["LaMP_1.json", "LaMP_3.json", "LaMP_7.json"]
        content = json.loads(zipped.read("LaMP_3.json"))

    assert content.keys() == {"task", "golds"} and content["task"] == "LaMP_3"
    assert {tuple(record) for record in content["golds"]} == {("id", "output")} and len(content["golds"]) == 6


def test_what_cannot_be_exported_is_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="no run named 'none'"):
        build_submission(choose_submitted(runs, ["none"]))

    rating = next(name for name in names(runs) if "LaMP-3" in name)

    with pytest.raises(RpobenchError, match="a second run of LaMP_3"):
        build_submission(choose_submitted(runs, [rating]) * 2)

    shutil.copytree(runs, tmp_path / "runs")
    begun = tmp_path / "runs" / rating
    shutil.rmtree(begun)
    begun.mkdir()
    (begun / "spec.json").write_text(json.dumps(read_json(runs / rating / "spec.json")))

    with pytest.raises(RpobenchError, match="is not finished"):
        build_submission(choose_submitted(tmp_path / "runs", [rating]))
    assert invoke(rating, "--runs", tmp_path / "runs", "--out", tmp_path / "out.zip").exit_code == 1
    assert not (tmp_path / "out.zip").exists()


def test_a_control_is_no_submission(make_run: Any) -> None:
    folder = make_run("mine", lambda position, target, rng: target, profiles="swapped")
    with pytest.raises(RpobenchError, match="has other users' profiles: the control is no submission"):
        build_submission(choose_submitted(folder.parent, [folder.name]))
