"""`--adapter RUN`: a trained module applied to another base model's drafts, and every way in which it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rpobench.models.scripted import ScriptedModel, echo, generic
from rpobench.registry import get_method
from rpobench.runs.benchmark import run
from rpobench.runs.plan import Plan, make_plan
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

MODELS = {"scripted": ScriptedModel(echo), "other": ScriptedModel(generic, "other")}


@pytest.fixture(autouse=True)
def models(model: ScriptedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: MODELS[spec])


def plan(out: Path, **options: Any) -> Plan:
    values = {"method": "learner", "task": "LaMP-3", "out": out / "runs", "limit": 6, "base_model": "scripted"}
    return make_plan(**{**values, **options})


def native(out: Path, **options: Any) -> str:
    """The name of a run that was trained on the drafts of `scripted`."""
    return str(run(plan(out, **options))[0]["run"])


def spec(out: Path, name: str) -> dict[str, Any]:
    return read_json(out / "runs" / name / "spec.json")


def refused(out: Path, *words: str, **options: Any) -> None:
    with pytest.raises(RpobenchError) as error:
        run(plan(out, **options))
    assert "\n" not in str(error.value)
    for word in (f"--adapter {options['adapter']}", *words):
        assert word in str(error.value)


def test_a_module_is_applied_untrained_and_the_spec_says_whose_drafts_it_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = native(tmp_path)
    monkeypatch.setattr(get_method("learner"), "fit", None)
    (applied,) = run(plan(tmp_path, adapter=home, base_model="other"))
    made, was = spec(tmp_path, applied["run"]), spec(tmp_path, home)
    assert made == {**was, "base_model": "other"}
    fit = tmp_path / "runs" / "fits" / made["fit"]
    assert read_json(fit / "spec.json")["base_model"] == "scripted"
    (stored,) = ResultStore(tmp_path / "runs").results(base_model="other")
    assert stored["fit"]["base_model"] == "scripted"
    assert stored["fit_seconds"] == read_json(fit / "fit.json")["seconds"]


def test_applied_to_its_own_base_model_it_is_the_run_it_came_from(tmp_path: Path) -> None:
    first = run(plan(tmp_path))
    assert run(plan(tmp_path, adapter=first[0]["run"])) == first


def test_an_unfinished_run_with_an_adapter_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = native(tmp_path)
    learner: Any = get_method("learner")
    predict = learner.predict
    monkeypatch.setattr("rpobench.runs.runner.CHUNK", 2)

    def tired(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        if any(example.id == last for example in examples):
            raise RpobenchError("the power went")
        return predict(self, task, examples, ctx)

    last = list(read_json(tmp_path / "runs" / home / "result.json")["scores"])[-1]
    monkeypatch.setattr(learner, "predict", tired)
    with pytest.raises(RpobenchError, match="the power went"):
        run(plan(tmp_path, adapter=home, base_model="other"))
    monkeypatch.setattr(learner, "predict", predict)
    (applied,) = run(plan(tmp_path, adapter=home, base_model="other"))
    assert applied["n"] == 6


def test_from_another_folder_the_fit_is_brought_along(tmp_path: Path) -> None:
    home = tmp_path / "runs" / native(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (applied,) = run(plan(elsewhere, adapter=home, base_model="other"))
    fits = tmp_path / "runs" / "fits", elsewhere / "runs" / "fits"
    digest = spec(elsewhere, applied["run"])["fit"]
    for name in ("spec.json", "fit.json", "checkpoint/answers.json"):
        assert (fits[1] / digest / name).read_bytes() == (fits[0] / digest / name).read_bytes()
    shutil.rmtree(tmp_path / "runs")
    again = run(plan(elsewhere, adapter=applied["run"], base_model="scripted"))
    assert again[0]["n"] == 6, "its own runs can be named now"


def test_what_is_no_trained_run_of_this_method_is_refused(tmp_path: Path) -> None:
    home, untrained = native(tmp_path), native(tmp_path, method="zero-shot")
    with pytest.raises(RpobenchError, match="no run named 'nowhere'"):
        run(plan(tmp_path, adapter="nowhere"))
    refused(tmp_path, "is a run of learner: give --method learner", adapter=home, method="zero-shot")
    refused(tmp_path, "is a run of learner", adapter=home, method="learner,zero-shot")
    refused(tmp_path, "trains nothing", adapter=untrained, method="zero-shot")
    refused(tmp_path, "was trained with seed 0: give --seed 0", adapter=home, seeds=(0, 1))
    refused(tmp_path, "was not trained on LaMP-7 but on LaMP-3@1", adapter=home, task="LaMP-3,LaMP-7")
    refused(tmp_path, "only nothing can be set anew", adapter=home, settings={"scope": "shared"})


def test_an_adapter_that_was_deleted_is_named(tmp_path: Path) -> None:
    home = native(tmp_path)
    gone = tmp_path / "runs" / "fits" / spec(tmp_path, home)["fit"] / "checkpoint"
    shutil.rmtree(gone)
    refused(tmp_path, f"{gone} is not there: train it again", adapter=home, base_model="other")


def test_a_method_that_changed_since_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = native(tmp_path)
    monkeypatch.setattr(get_method("learner"), "version", "2")
    monkeypatch.setattr(get_method("learner"), "prompts", lambda self, tasks: "new words")
    refused(tmp_path, "was trained with other version, prompts of learner", adapter=home)


def test_nothing_is_scored_that_the_module_was_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "LaMP_3"
    folder.mkdir(parents=True)
    profile = [{"id": "1", "text": "fine", "score": "4"}]
    asked = [{"id": f"{at}", "user_id": f"u{at}", "input": f"review {at}", "profile": profile} for at in range(8)]
    golds = {"task": "LaMP_3", "golds": [{"id": one["id"], "output": "4"} for one in asked]}
    (folder / "dev_questions.json").write_text(json.dumps(asked))
    (folder / "dev_outputs.json").write_text(json.dumps(golds))
    data = {"data": tmp_path, "limit": None}
    home = native(tmp_path, holdout=0.5, **data)
    assert run(plan(tmp_path, adapter=home, base_model="other", holdout=0.5, **data))[0]["n"] == 4
    for share in (None, 0.25):
        refused(tmp_path, "was trained on these examples of LaMP-3", adapter=home, holdout=share, **data)


def test_an_example_of_the_training_split_is_not_scored_in_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "LaMP_3"
    folder.mkdir(parents=True)
    profile = [{"id": "1", "text": "fine", "score": "4"}]
    for split, places in (("train", range(8)), ("dev", range(6, 12)), ("test", range(12, 16))):
        asked = [{"id": f"{at}", "user_id": f"u{at}", "input": f"review {at}", "profile": profile} for at in places]
        golds = {"task": "LaMP_3", "golds": [{"id": one["id"], "output": "4"} for one in asked]}
        (folder / f"{split}_questions.json").write_text(json.dumps(asked))
        (folder / f"{split}_outputs.json").write_text(json.dumps(golds))
    data = {"data": tmp_path / "mine", "swap": False}
    home = native(tmp_path, split="test", limit=7, **data)  # the first seven of training: the shared ones are 6 and 7
    shutil.copytree(tmp_path / "mine", tmp_path / "copied")
    for where in (data, {**data, "data": tmp_path / "copied"}):
        with pytest.raises(RpobenchError, match="--split dev: id '6' of LaMP-3 is trained on and scored too"):
            run(plan(tmp_path, adapter=home, split="dev", **where))
        assert run(plan(tmp_path, adapter=home, base_model="other", split="test", **where))[0]["n"] == 4


def test_only_what_predicting_reads_can_be_set_anew() -> None:
    rpo = get_method("rpo")
    assert rpo.applied == {"n", "select", "gate"} and get_method("sft-rag").applied == {"n", "select"}
    assert rpo.applied <= rpo.Config.model_fields.keys()
