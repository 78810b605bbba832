"""`rpobench check` finds what was changed, `rpobench import` brings predictions in, and the schema is published."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from run_answers import good
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.main import app
from rpobench.data.synth.world import generate
from rpobench.runs.plan import LARGEST_SEED
from rpobench.store.files import write_json
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, published_schema
from rpobench.store.spec import FitSpec
from rpobench.store.stored_run import FIT_COST
from rpobench.submissions.check import check_runs
from rpobench.submissions.reparsed_sets import reparse_runs
from rpobench.types import RpobenchError

Make = Callable[..., Path]
EXAMPLE = "lamp-3-dev-0-dev"


def change(folder: Path, file: str, *path: str, value: Any) -> None:
    content = json.loads((folder / file).read_text())
    *parents, last = path
    place = content
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    (folder / file).write_text(json.dumps(content))


@pytest.mark.parametrize("task", ["LaMP-2", "LaMP-3", "LaMP-7"])
def test_a_run_as_it_was_made_is_in_order(make_run: Make, task: str) -> None:
    (report,) = check_runs(make_run("good", good, task=task))
    assert report.faults == [] and report.notes == []


COMMITTED = [pytest.param(ROOT / "leaderboard" / name, id=name) for name in ("results", "tuning")]


@pytest.mark.slow  # it scores every committed run again, and there are ever more of them
@pytest.mark.parametrize("results", COMMITTED)
def test_committed_results_are_in_order(results: Path) -> None:
    assert [one for one in check_runs(results) if one.faults] == []


@pytest.mark.slow
@pytest.mark.parametrize("results", COMMITTED)
def test_committed_tables_are_of_the_committed_runs(results: Path, tmp_path: Path) -> None:
    number = re.compile(r"-?\d+\.\d+")
    made = CliRunner().invoke(app, ["report", "--runs", str(results), "--format", "md", "--out", str(tmp_path / "new")])

    assert made.exit_code == 0, made.output

    old, new = (results / "README.md").read_text(), (tmp_path / "new").read_text()

    assert number.split(new) == number.split(old)
    # Drawn quantiles may differ in their last digit between processors; everything else is the same text.
    assert [*map(float, number.findall(new))] == pytest.approx([*map(float, number.findall(old))], abs=0.0011)


def test_stored_runs_of_every_schema_are_in_order(tmp_path: Path) -> None:
    for version in range(1, SCHEMA_VERSION + 1):
        runs = Path(shutil.copytree(ROOT / "tests" / "stored" / f"v{version}", tmp_path / f"v{version}"))
        (report,) = check_runs(runs)
        assert report.faults == [] and "`rpobench reparse` reads its answers as today" in " ".join(report.notes)

        list(reparse_runs(runs))
        (report,) = check_runs(runs)
        assert report.faults == []
        assert ("metrics not computed anew: schema 1" in " ".join(report.notes)) is (version == 1)


@pytest.mark.parametrize(
    ("file", "path", "value", "fault"),
    [
        ("result.json", ("metrics", "MAE"), 0.1, "result.json: metrics.MAE is 0.100000, from the measures it is"),
        ("result.json", ("strict", "MAE"), 0.1, "strict.MAE is 0.100000, from the predictions it is"),
        ("result.json", ("references", "oracle", "MAE"), 9.0, "references.oracle.MAE is 9.0"),
        ("result.json", ("scores", EXAMPLE), 0.123, f"scores.{EXAMPLE} is 0.123000"),
        ("result.json", ("scores", EXAMPLE), None, "predictions.jsonl: 24 examples, 23 were scored"),
        ("result.json", ("examples", EXAMPLE), None, "result.json: examples: 23 examples, 24 were scored"),
        ("result.json", ("n",), 25, "n is 25 and 24 scores stand there"),
        ("result.json", ("schema",), 99, "schema 99 is unknown here"),
        ("result.json", ("main_metric",), None, "'main_metric': field required"),
        ("result.json", ("schema",), None, "'schema': field required"),
        ("result.json", ("examples",), None, "examples: absent, schema"),
        ("result.json", ("examples", EXAMPLE, "user"), "somebody", f"examples.{EXAMPLE}.user is 'somebody', from"),
        ("result.json", ("references", "oracle"), None, "references.oracle.MAE is absent, from the predictions it is"),
        ("result.json", ("metrics", "exactness"), 1.0, "exactness is 1.000000, from the measures there is none"),
        ("result.json", ("main_metric",), "RMSE", "main_metric is 'RMSE', from the predictions it is 'MAE'"),
        ("result.json", ("directions", "MAE"), "max", "directions.MAE is 'max'"),
        ("result.json", ("synthetic",), False, "synthetic is False, from the predictions it is True"),
        ("result.json", ("imported",), True, "imported does not go with version '1'"),
        ("result.json", ("failed",), 1, "failed is 1, from the predictions it is 0"),
        ("result.json", ("seconds",), 0.1, "seconds is 0.100000, from the predictions it is 1.5"),
        ("result.json", ("usage", "prompt_tokens"), 1, "usage.prompt_tokens is 1, from the predictions it is 2400"),
        ("result.json", ("kept",), 0.5, "kept is 0.500000, from the predictions it is None"),
        ("result.json", ("fit_tokens",), {"sft": 9}, "fit_tokens.sft is 9, from the spec, which names no fit,"),
        ("result.json", ("seconds",), float("nan"), "seconds is no finite number"),
        ("spec.json", ("method",), "better", "its digest is"),
        ("spec.json", ("config", "k"), 9, "its digest is"),
        ("environment.json", ("prompt_sha256",), "x" * 64, "prompt_sha256 is no sha256"),
        ("environment.json", ("prompt_sha256",), "a" * 64, "prompt_sha256 is not that of the task's prompts"),
        ("environment.json", ("data_sha256",), "a" * 64, "data_sha256 is not that of spec.json"),
        ("spec.json", ("seed",), "zero", "'seed': input should be a valid integer"),
        ("spec.json", ("oddity",), 1, "'oddity': extra inputs"),
    ],
)  # fmt: skip
def test_what_was_changed_is_named(make_run: Make, file: str, path: Any, value: Any, fault: str) -> None:
    folder = make_run("good", good)
    change(folder, file, *path, value=value)
    (report,) = check_runs(folder)

    assert any(fault in line for line in report.faults), report.faults


def test_an_id_changed_everywhere_is_named_and_stops_no_other(make_run: Make) -> None:
    make_run("fair", good)
    folder = make_run("good", good)
    for name in ("result.json", "predictions.jsonl"):
        file = folder / name
        file.write_text(file.read_text().replace(EXAMPLE, "another"))
    faults = {report.run.split("-")[2]: report.faults for report in check_runs(folder.parent)}

    assert faults == {"fair": [], "good": ["result.json: scores: are not of the examples of its data"]}


def test_a_null_is_no_list_of_examples(make_run: Make) -> None:
    file = make_run("good", good) / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "examples": None}))
    assert any("examples: absent" in line for line in check_runs(file.parent)[0].faults)


def test_a_field_that_was_taken_out_is_missed(make_run: Make) -> None:
    folder = make_run("good", good, config={"k": 1})
    change(folder, "result.json", "evidence", value=None)
    assert any("evidence.items is absent, from the predictions" in line for line in check_runs(folder)[0].faults)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("main_metric",), "RMSE", "main_metric is 'RMSE', from the predictions it is 'MAE'"),
        (("directions", "MAE"), "max", "directions.MAE is 'max'"),
        (("usage", "prompt_tokens"), 1, "usage.prompt_tokens is 1"),
        (("seconds",), 0.1, "seconds is 0.100000"),
        (("failed",), 3, "failed is 3"),
        (("scores",), {}, "scores: empty"),
    ],
)
def test_what_needs_no_data_is_checked_without_it(make_run: Make, path: Any, value: Any, fault: str) -> None:
    folder = make_run("good", good, source="LaMP")

    assert check_runs(folder)[0].faults == [] and "not scored anew" in check_runs(folder)[0].notes[0]

    change(folder, "result.json", *path, value=value)
    (report,) = check_runs(folder)

    assert any(fault in line for line in report.faults), report.faults


def test_a_changed_prediction_is_found(make_run: Make) -> None:
    folder = make_run("good", good)
    lines = (folder / "predictions.jsonl").read_text()
    (folder / "predictions.jsonl").write_text(lines.replace('"text": "5"', '"text": "1"', 1))
    (report,) = check_runs(folder)

    assert any("from the predictions it is" in line for line in report.faults)


@pytest.mark.parametrize("profiles", ["own", "swapped"])
def test_evidence_that_nobody_was_shown_is_found(make_run: Make, profiles: str) -> None:
    folder = make_run("good", good, config={"k": 1}, profiles=profiles)
    faults = check_runs(folder)[0].faults

    assert (faults == []) is (profiles == "own"), "the fixture shows own items, which a swapped run never saw"

    if profiles == "swapped":
        assert len(faults) == 24 and "is not in the profile it was shown" in faults[0]


def test_a_run_and_its_fit_say_the_same(make_run: Make, tmp_path: Path) -> None:
    made = FitSpec(method="good", version="1", config={}, train_tasks=("LaMP-3@1",), data=(), base_model="m", seed=0)
    folder, fit = make_run("good", good, fit=made.digest()), tmp_path / "runs" / "fits" / made.digest()

    assert check_runs(folder)[0].faults == [], "a fit that is not there says nothing"

    write_json(fit / "spec.json", made.model_dump(mode="json"))
    write_json(fit / FIT_COST, {"seconds": 9.0, "started": None, "usage": None, "tokens": None})
    change(folder, "result.json", "fit_seconds", value=1.0)

    assert check_runs(folder)[0].faults == ["result.json: fit_seconds is 1.000000, from the fit it is 9.000000"]

    change(folder, "result.json", "fit_seconds", value=9.0)

    assert check_runs(folder)[0].faults == []

    change(fit, "spec.json", "base_model", value="another")

    assert "changed after the fit" in check_runs(folder)[0].faults[0]


def test_texts_of_licensed_data_are_not_to_be_shown(make_run: Make) -> None:
    folder = make_run("good", good, task="LaMP-6", source="LaMP_6")
    change(folder, "result.json", "synthetic", value=False)

    assert any("licence does not allow" in line for line in check_runs(folder)[0].faults)

    change(folder, "result.json", "texts", value=False)

    assert check_runs(folder)[0].faults == []


def test_other_data_under_the_same_name_is_found(make_run: Make) -> None:
    folder = make_run("good", good)
    change(folder, "spec.json", "data", "sha256", value="a" * 64)
    change(folder, "environment.json", "data_sha256", value="a" * 64)
    (report,) = check_runs(folder)

    assert report.faults[-1] == "spec.json: data sha256 is not that of synth-v2 as it is here"


def test_unfinished_and_doubled_runs_are_named(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("good", good)
    shutil.copytree(folder, folder.with_name(f"z-{folder.name}"))
    one, other = check_runs(tmp_path / "runs")

    assert one.faults == [] and other.faults == [f"spec.json: the same spec as {folder.name}: keep one"]

    (folder / "result.json").unlink()

    assert check_runs(folder)[0].faults == ["result.json: absent, the run is not finished"]
    with pytest.raises(RpobenchError, match="no run in it"):
        check_runs(tmp_path / "empty")


def test_data_that_is_not_at_hand_is_a_note(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("good", good, source="LaMP_3")
    (report,) = check_runs(folder)

    assert report.faults == [] and "say where that folder is with --data" in report.notes[0]

    (report,) = check_runs(folder, str(tmp_path))

    assert report.faults == [] and report.notes[0].startswith(f"not scored anew: {tmp_path}")


def test_the_command_prints_a_line_a_run_and_fails_if_one_does(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("good", good)
    done = CliRunner().invoke(app, ["check", str(folder)])

    assert done.exit_code == 0 and done.stdout == f"ok\t{folder.name}\n"

    change(folder, "result.json", "n", value=25)
    failed = CliRunner().invoke(app, ["check", str(tmp_path / "runs"), "--json"])

    assert isinstance(failed.exception, RpobenchError) and "1 of 1 runs are not in order" in str(failed.exception)
    assert json.loads(failed.stdout)[0]["faults"] == ["result.json: n is 25 and 24 scores stand there"]


def predictions(tmp_path: Path, count: int = 12, **changed: str) -> Path:
    data = generate("LaMP-3", "dev", count)
    golds = [{"id": one.example.id, "output": changed.get("output", one.target)} for one in data.labelled]
    file = tmp_path / "preds.json"
    file.write_text(json.dumps({"task": "LaMP_3", "golds": golds}))
    return file


def brought_in(tmp_path: Path, file: Path, *options: str, name: str = "My method") -> Any:
    base = ["import", "--task", "LaMP-3", "--preds", str(file), "--name", name, "--out", str(tmp_path / "runs")]
    return CliRunner().invoke(app, [*base, *options])


def test_imported_predictions_are_a_run_like_any_other(tmp_path: Path, make_run: Make) -> None:
    make_run("poor", lambda position, target, rng: "1", n=12)
    done = brought_in(tmp_path, predictions(tmp_path), "--base-model", "m")
    folder = Path(done.stdout.strip())

    assert done.exit_code == 0 and folder.name.startswith("LaMP-3-My-method-")
    assert "scored on synth-v2 world 0, dev" in done.stderr, "another version of a world has the same ids"

    (run,) = ResultStore(tmp_path / "runs").find_runs(method="My method")

    assert run.result.metrics["MAE"] == 0 and run.result.imported and run.result.synthetic
    assert [report.faults for report in check_runs(tmp_path / "runs")] == [[], []]

    runs = ["--runs", str(tmp_path / "runs")]
    table = CliRunner().invoke(app, ["report", *runs, "--against", "poor"]).stdout

    assert "| My method (imported) | 1 | **0.000**† |" in table and table.count("## ") == 1
    assert CliRunner().invoke(app, ["compare", "My method", "poor", *runs]).exit_code == 0
    assert brought_in(tmp_path, predictions(tmp_path), "--base-model", "m").stdout == done.stdout, "again is no harm"

    other = brought_in(tmp_path, predictions(tmp_path, output="2"), "--base-model", "m")

    assert "holds other predictions of that name" in str(other.exception)


def test_imported_texts_are_scored_as_they_are(tmp_path: Path) -> None:
    brought_in(tmp_path, predictions(tmp_path, output="I say 3"))
    (run,) = ResultStore(tmp_path / "runs").find_runs()
    targets = [labelled.target for labelled in generate("LaMP-3", "dev", 12).labelled]

    assert run.result.metrics == get_task("LaMP-3").aggregate(["I say 3"] * 12, targets) == run.result.strict


@pytest.mark.parametrize(
    ("options", "fault"),
    [(["--limit", "8"], "has an unknown id"), (["--limit", "20"], "lacks id"),
     (["--task", "LaMP-4"], "is for task 'LaMP_3'"), (["--name", " "], "--name: is empty")],
)  # fmt: skip
def test_what_cannot_be_imported_is_named(tmp_path: Path, options: list[str], fault: str) -> None:
    failed = brought_in(tmp_path, predictions(tmp_path), *options)
    assert isinstance(failed.exception, RpobenchError) and fault in str(failed.exception)
    assert not list(tmp_path.glob("runs/*"))


def test_an_output_that_makes_a_metric_infinite_is_not_imported(tmp_path: Path) -> None:
    failed = brought_in(tmp_path, predictions(tmp_path, output="1e308"))
    assert "the MAE of its outputs is inf" in str(failed.exception) and not list(tmp_path.glob("runs/*"))


def test_seeds_of_imports_are_those_that_runs_can_have(tmp_path: Path) -> None:
    assert brought_in(tmp_path, predictions(tmp_path), "--seed", str(LARGEST_SEED)).exit_code == 0
    assert brought_in(tmp_path, predictions(tmp_path), "--seed", str(LARGEST_SEED + 1)).exit_code == 2


def test_the_schema_is_published_as_it_is() -> None:
    file = ROOT / "leaderboard" / "schema" / f"run-v{SCHEMA_VERSION}.json"
    assert json.loads(file.read_text()) == published_schema(), f"write published_schema() to {file.name}"
