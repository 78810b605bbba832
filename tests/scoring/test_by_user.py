"""What a result keeps of each example is enough for every metric, and old results still load."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import STORED
from rpobench.leaderboard.breakdowns import KINDS, group_examples
from rpobench.leaderboard.cell_stats import compute_sheets
from rpobench.leaderboard.rows import group_runs

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.registry import list_names
from rpobench.scoring.by_user import sum_by_user
from rpobench.scoring.result import score
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION, StoredResult
from rpobench.store.stored_run import StoredRun
from rpobench.submissions.reparsed_sets import reparse_runs
from rpobench.types import Prediction

ODD = st.sampled_from(["", "0", "7", "-3.5", "nan", "1e6", "no answer", " 3 ", "the the council", "comedy"])


@pytest.mark.parametrize("name", list_names("tasks"))
@given(drawn=st.data())
def test_sums_of_measures_give_the_official_metrics(name: str, drawn: st.DataObject) -> None:
    task = get_task(name)
    answers = st.sampled_from(task.labels) if task.labels else st.text("abc de", max_size=12)
    pairs = drawn.draw(st.lists(st.tuples(answers | ODD, answers), min_size=1, max_size=9))
    texts, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    measures = np.array([task.measure(*pair) for pair in pairs], dtype=float)

    metrics = task.metrics_of(task.summands(measures).sum(axis=0))

    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(task.aggregate(texts, targets))


def scored(name: str = "LaMP-3", count: int = 12) -> dict[str, Any]:
    """A result as it is written to disk; every prediction is 4."""
    task, data = get_task(name), generate(name, "dev", count)
    predictions = {key: Prediction(key, "4", "4") for key in (labelled.example.id for labelled in data.labelled)}
    return score(task, data, predictions) | {"schema": 2, "texts": True, "synthetic": True, "seconds": 0.0}


def as_stored(result: dict[str, Any]) -> StoredRun:
    (run,) = ResultStore(STORED / f"v{SCHEMA_VERSION}").find_runs()
    spec = run.spec.model_copy(update={"task": get_task(run.task_name).versioned})
    return replace(run, spec=spec, result=StoredResult.model_validate(result))


def test_examples_hold_users_and_references_and_no_text() -> None:
    result, data = scored(), generate("LaMP-3", "dev", 12)

    for labelled in data.labelled:
        example = result["examples"][labelled.example.id]
        oracle = data.references["oracle"][labelled.example.id]
        assert example["user"] == labelled.example.user_id
        assert example["profile_items"] == len(labelled.example.profile)
        assert example["measures"] == [abs(4 - int(labelled.target)), int(labelled.target)]
        assert example["references"]["oracle"] == pytest.approx(get_task("LaMP-3").score(oracle, labelled.target))
    assert data.labelled[0].example.input not in json.dumps(result)


def test_examples_are_summed_by_user() -> None:
    result = scored()
    for index, example in enumerate(result["examples"].values()):
        example["user"] = "ab"[index % 2]

    sums = sum_by_user(as_stored(result))

    assert sums and sums.users == ("a", "b") and sums.sums[:, 0].tolist() == [6, 6]
    assert float(sums.metric("MAE")(sums.sums.sum(axis=0))) == pytest.approx(result["metrics"]["MAE"])
    scores_of_b = [result["scores"][key] for index, key in enumerate(result["examples"]) if index % 2]
    assert sums.scores[1] == pytest.approx(np.mean(scores_of_b))
    first_two = sum_by_user(as_stored(result), only=set(list(result["examples"])[:2]))
    assert first_two and first_two.sums[:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_results_of_every_schema_load(version: int, tmp_path: Path) -> None:
    shutil.copytree(STORED / f"v{version}", tmp_path / "runs")
    assert [report.changed for report in reparse_runs(tmp_path / "runs")] == [0]
    (run,) = ResultStore(tmp_path / "runs").find_runs()

    assert run.result.schema_version == version and run.result.metrics.keys() == {"MAE", "RMSE"}
    sums = sum_by_user(run)
    if version == 1:
        assert sums is None, "schema 1 kept no measures"
    else:
        assert sums is not None
        assert float(sums.metric("RMSE")(sums.sums.sum(axis=0))) == pytest.approx(run.result.metrics["RMSE"], abs=1e-9)


def test_measures_of_another_version_of_the_task_are_not_read(tmp_path: Path) -> None:
    shutil.copytree(STORED / f"v{SCHEMA_VERSION}", tmp_path / "runs")
    (spec,) = (tmp_path / "runs").glob("*/spec.json")
    spec.write_text(spec.read_text().replace("LaMP-3@1", "LaMP-3@0"))

    (run,) = ResultStore(tmp_path / "runs").find_runs()

    assert sum_by_user(run) is None
    (sheet,) = compute_sheets(group_runs([run]))
    (row,) = sheet.cells.values()
    assert row["LaMP-3"].values["MAE"] == 1.75 and row["LaMP-3"].intervals["MAE"] is None
    assert [group_examples([run], kind) for kind in KINDS] == [[], [], []], "nor are they broken down"
