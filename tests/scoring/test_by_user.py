"""What a result keeps of each example is enough for every metric, and old results still load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import STORED
from rpobench.leaderboard.breakdowns import KINDS, groups
from rpobench.leaderboard.cell_stats import sheets
from rpobench.leaderboard.rows import sections

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.registry import list_names
from rpobench.scoring.by_user import by_user
from rpobench.scoring.result import score
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION
from rpobench.types import Prediction

ODD = st.sampled_from(["", "0", "7", "-3.5", "nan", "1e6", "no answer", " 3 ", "the the council", "comedy"])


@pytest.mark.parametrize("name", [*list_names("tasks")])
@given(drawn=st.data())
def test_sums_of_measures_give_the_official_metrics(name: str, drawn: st.DataObject) -> None:
    task = get_task(name)
    answers = st.sampled_from(task.labels) if task.labels else st.text("abc de", max_size=12)
    pairs = drawn.draw(st.lists(st.tuples(answers | ODD, answers), min_size=1, max_size=9))
    texts, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    measures = np.array([task.measure(*pair) for pair in pairs], dtype=float)
    found = task.metrics_of(task.summands(measures).sum(axis=0))
    assert {key: float(value) for key, value in found.items()} == pytest.approx(task.aggregate(texts, targets))


def finished(name: str = "LaMP-3", count: int = 12) -> dict[str, Any]:
    task, data = get_task(name), generate(name, "dev", count)
    predictions = {one.example.id: Prediction(one.example.id, "4", "4") for one in data.labelled}
    return score(task, data, predictions) | {"spec": {"task": f"{name}@{task.version}"}, "folder": "runs/one"}


def test_examples_of_a_result_hold_users_and_references_and_no_text() -> None:
    result, data = finished(), generate("LaMP-3", "dev", 12)
    for one in data.labelled:
        held = result["examples"][one.example.id]
        assert held["user"] == one.example.user_id and held["profile_items"] == len(one.example.profile)
        assert held["measures"] == [abs(4 - int(one.target)), int(one.target)]
        assert held["references"]["oracle"] == pytest.approx(
            get_task("LaMP-3").score(data.references["oracle"][one.example.id], one.target)
        )
    assert data.labelled[0].example.input not in json.dumps(result)


def test_examples_are_summed_by_user() -> None:
    result = finished()
    for place, held in enumerate(result["examples"].values()):
        held["user"] = "ab"[place % 2]
    found = by_user(result)
    assert found and found.users == ("a", "b") and found.sums[:, 0].tolist() == [6, 6]
    assert float(found.metric("MAE")(found.sums.sum(axis=0))) == pytest.approx(result["metrics"]["MAE"])
    own = [result["scores"][key] for place, key in enumerate(result["examples"]) if place % 2]
    assert found.scores[1] == pytest.approx(np.mean(own))
    some = by_user(result, only=set(list(result["examples"])[:2]))
    assert some and some.sums[:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_results_of_every_schema_load(version: int) -> None:
    (result,) = ResultStore(STORED / f"v{version}").results()
    assert result["schema"] == version and result["metrics"].keys() == {"MAE", "RMSE"}
    found = by_user(result)
    if version == 1:
        assert found is None, "schema 1 kept no measures"
    else:
        assert found and float(found.metric("RMSE")(found.sums.sum(axis=0))) == pytest.approx(
            result["metrics"]["RMSE"], abs=1e-9
        )


def test_measures_of_another_version_of_the_task_are_not_read(tmp_path: Path) -> None:
    shutil.copytree(STORED / f"v{SCHEMA_VERSION}", tmp_path / "runs")
    (spec,) = (tmp_path / "runs").glob("*/spec.json")
    spec.write_text(spec.read_text().replace("LaMP-3@1", "LaMP-3@0"))
    (result,) = ResultStore(tmp_path / "runs").results()
    assert by_user(result) is None
    (sheet,) = sheets(sections([result]))
    (row,) = sheet.cells.values()
    assert row["LaMP-3"].values["MAE"] == 1.75 and row["LaMP-3"].intervals["MAE"] is None
    assert [groups([result], kind) for kind in KINDS] == [[], [], []], "nor are they broken down"
