"""A fit: made once and only when somebody needs it, what it cost, and what a kill leaves of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from rpobench.method.left_out import LeftOut
from rpobench.models.meter import Meter
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.registry import get_method
from rpobench.runs.benchmark import run
from rpobench.runs.fit_cost import fit_attempt, read_fit_cost
from rpobench.runs.plan import Plan, make_plan
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError, Usage

pytestmark = pytest.mark.usefixtures("model")


def plan(out: Path, **options: Any) -> Plan:
    return make_plan(**{"method": "learner", "task": "LaMP-3", "out": out / "runs", "limit": 6, **options})


def find_fit(out: Path) -> Path:
    (checkpoint,) = (out / "runs" / "fits").glob("*/checkpoint")
    return checkpoint.parent


def test_nothing_is_fitted_or_loaded_where_all_results_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(plan(tmp_path))

    def fail(*arguments: Any) -> None:
        raise AssertionError("nothing is needed of the fit")

    for name in ("fit", "load", "save"):
        monkeypatch.setattr(get_method("learner"), name, fail)

    assert run(plan(tmp_path)) == first


def test_what_a_kill_after_the_last_step_leaves_is_removed(tmp_path: Path) -> None:
    run(plan(tmp_path))
    folder = find_fit(tmp_path)
    (folder / "work" / "stage").mkdir(parents=True)

    run(plan(tmp_path, limit=6, split="test"))

    assert find_fit(tmp_path) == folder and not (folder / "work").exists()


def test_a_fit_says_what_it_cost_and_a_result_repeats_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = get_method("learner")
    fit = learner.fit

    def fit_slowly(self: Any, train: Any, ctx: Any) -> None:
        fit(self, train, ctx)
        time.sleep(0.2)
        self.fit_usage, self.fit_tokens = Usage(calls=3, prompt_tokens=40), {"sft": 7}

    monkeypatch.setattr(learner, "fit", fit_slowly)
    trained, untrained = run(plan(tmp_path, method="learner,zero-shot"))

    cost = read_fit_cost(find_fit(tmp_path) / "fit.json")
    assert cost.seconds >= 0.2 and cost.started is None
    assert cost.usage and cost.usage.prompt_tokens == 40

    trained_result = read_json(tmp_path / "runs" / trained.run / "result.json")
    assert trained_result["fit_seconds"] == cost.seconds and "fit_seconds" not in trained.to_json()
    assert trained_result["fit_tokens"] == cost.tokens == {"sft": 7}

    untrained_result = read_json(tmp_path / "runs" / untrained.run / "result.json")
    assert untrained_result["fit_seconds"] is None and "fit_tokens" not in untrained_result


def test_a_fit_from_before_tokens_were_counted_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "fit.json", {"seconds": 5.0, "started": None, "usage": None})

    assert read_fit_cost(tmp_path / "fit.json").tokens is None


def test_interrupted_attempts_cost_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = get_method("learner")
    fit, attempts = learner.fit, []

    def fail_at_first(self: Any, train: Any, ctx: Any) -> None:
        attempts.append(1)
        time.sleep(0.15)
        if len(attempts) == 1:
            raise RpobenchError("the power went")
        fit(self, train, ctx)

    monkeypatch.setattr(learner, "fit", fail_at_first)
    with pytest.raises(RpobenchError, match="the power went"):
        run(plan(tmp_path))
    run(plan(tmp_path))

    assert read_fit_cost(find_fit(tmp_path) / "fit.json").seconds >= 0.3


def test_a_killed_attempt_counts_up_to_its_last_write(tmp_path: Path) -> None:
    work, cost_file = tmp_path / "work", tmp_path / "fit.json"
    work.mkdir()
    write_json(cost_file, {"seconds": 5.0, "started": 1000.0, "usage": None})
    (work / "state").write_text("")
    os.utime(work / "state", (1030.0, 1030.0))

    with fit_attempt(cost_file, work, get_method("learner")(None), Meter(), LeftOut()):  # type: ignore[arg-type]
        assert json.loads(cost_file.read_text())["seconds"] == 35.0, "told at once: this attempt may be killed too"

    assert 35.0 <= read_fit_cost(cost_file).seconds < 36.0


def test_drafts_made_for_a_fit_are_charged_at_what_they_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel(echo, delay=0.03)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: model)

    run(plan(tmp_path))
    run(plan(tmp_path, seeds=(1,)))

    assert model.calls == 6, "the second fit finds the drafts of the first"
    first, second = (read_fit_cost(file).seconds for file in (tmp_path / "runs" / "fits").glob("*/fit.json"))
    assert first >= 0.18 and second >= 0.18


def test_drafts_of_a_killed_attempt_are_charged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, original_write = get_method("learner"), write_json
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: ScriptedModel(echo, delay=0.1))
    fit = learner.fit

    def be_killed(self: Any, train: Any, ctx: Any) -> None:
        fit(self, train, ctx)
        (ctx.folder / "state").write_text("")
        monkeypatch.setattr("rpobench.runs.fit_cost.write_json", lambda *_: None)  # a kill tells nobody when it ended
        raise KeyboardInterrupt

    monkeypatch.setattr(learner, "fit", be_killed)
    with pytest.raises(KeyboardInterrupt):
        run(plan(tmp_path))

    monkeypatch.setattr(learner, "fit", fit)
    monkeypatch.setattr("rpobench.runs.fit_cost.write_json", original_write)
    run(plan(tmp_path))

    seconds = read_fit_cost(find_fit(tmp_path) / "fit.json").seconds
    assert 0.6 <= seconds < 1.2, "six drafts of a tenth of a second"


def test_a_finished_run_can_be_marked_as_without_texts(tmp_path: Path) -> None:
    run(plan(tmp_path, method="peek"))
    run(plan(tmp_path, method="peek", texts=False))

    stored_runs = ResultStore(tmp_path / "runs").find_runs()
    assert len(stored_runs) == 2 and not any(stored.result.texts for stored in stored_runs), "the control too"

    run(plan(tmp_path, method="peek"))

    assert not any(stored.result.texts for stored in ResultStore(tmp_path / "runs").find_runs()), "a mark stays"


def test_the_draft_reference_does_not_depend_on_what_ran_before(tmp_path: Path) -> None:
    (alone,) = run(plan(tmp_path / "alone", method="ponder"))
    zero_shot, ponder, peek = run(plan(tmp_path / "after", method="zero-shot,ponder,peek"))

    assert alone.references.draft is None
    assert zero_shot.references.draft is not None
    assert ponder.references.draft is None
    assert zero_shot.references.draft == peek.references.draft == zero_shot.metrics["MAE"]
