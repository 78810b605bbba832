"""`--adapter RUN`: a trained module applied to another base model's drafts, and every way in which it cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
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


def run_at_home(out: Path, **options: Any) -> str:
    """Train on the drafts of `scripted`, and return the name of the run."""
    return run(plan(out, **options))[0].run


def read_spec(out: Path, run_name: str) -> dict[str, Any]:
    return read_json(out / "runs" / run_name / "spec.json")


def check_refusal(out: Path, *words: str, **options: Any) -> None:
    with pytest.raises(RpobenchError) as error:
        run(plan(out, **options))

    assert "\n" not in str(error.value)
    for word in (f"--adapter {options['adapter']}", *words):
        assert word in str(error.value)


def write_split(folder: Path, split: str, numbers: Iterable[int]) -> None:
    """Write an official split of LaMP-3 with these examples, one a user."""
    profile = [{"id": "1", "text": "fine", "score": "4"}]
    questions, golds = [], []
    for number in numbers:
        user = f"u{number}"
        questions.append({"id": f"{number}", "user_id": user, "input": f"review {number}", "profile": profile})
        golds.append({"id": f"{number}", "output": "4"})

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}_questions.json").write_text(json.dumps(questions))
    (folder / f"{split}_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": golds}))


def test_a_module_is_applied_and_its_spec_says_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = run_at_home(tmp_path)
    monkeypatch.setattr(get_method("learner"), "fit", None)

    (applied,) = run(plan(tmp_path, adapter=home, base_model="other"))

    spec = read_spec(tmp_path, applied.run)
    assert spec == {**read_spec(tmp_path, home), "base_model": "other"}
    fit = tmp_path / "runs" / "fits" / spec["fit"]
    assert read_json(fit / "spec.json")["base_model"] == "scripted"

    (stored,) = ResultStore(tmp_path / "runs").find_runs(base_model="other")
    assert stored.fit_spec and stored.fit_spec.base_model == "scripted"
    assert stored.result.fit_seconds == read_json(fit / "fit.json")["seconds"]


def test_applied_to_its_own_base_model_it_is_the_same_run(tmp_path: Path) -> None:
    first = run(plan(tmp_path))

    assert run(plan(tmp_path, adapter=first[0].run)) == first


def test_an_unfinished_run_with_an_adapter_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = run_at_home(tmp_path)
    learner: Any = get_method("learner")
    predict = learner.predict
    last_id = list(read_json(tmp_path / "runs" / home / "result.json")["scores"])[-1]
    monkeypatch.setattr("rpobench.runs.runner.CHUNK", 2)

    def fail_at_last(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        if any(example.id == last_id for example in examples):
            raise RpobenchError("the power went")
        return predict(self, task, examples, ctx)

    monkeypatch.setattr(learner, "predict", fail_at_last)
    with pytest.raises(RpobenchError, match="the power went"):
        run(plan(tmp_path, adapter=home, base_model="other"))

    monkeypatch.setattr(learner, "predict", predict)
    (applied,) = run(plan(tmp_path, adapter=home, base_model="other"))

    assert applied.n == 6


def test_from_another_folder_the_fit_is_brought_along(tmp_path: Path) -> None:
    home = tmp_path / "runs" / run_at_home(tmp_path)
    elsewhere = tmp_path / "elsewhere"

    (applied,) = run(plan(elsewhere, adapter=home, base_model="other"))

    digest = read_spec(elsewhere, applied.run)["fit"]
    home_fit = tmp_path / "runs" / "fits" / digest
    copied_fit = elsewhere / "runs" / "fits" / digest
    for name in ("spec.json", "fit.json", "checkpoint/answers.json"):
        assert (copied_fit / name).read_bytes() == (home_fit / name).read_bytes()

    shutil.rmtree(tmp_path / "runs")
    (again,) = run(plan(elsewhere, adapter=applied.run, base_model="scripted"))
    assert again.n == 6, "its own runs can be named now"


def test_what_is_no_trained_run_of_this_method_is_refused(tmp_path: Path) -> None:
    home, untrained = run_at_home(tmp_path), run_at_home(tmp_path, method="zero-shot")

    with pytest.raises(RpobenchError, match="no run named 'nowhere'"):
        run(plan(tmp_path, adapter="nowhere"))
    check_refusal(tmp_path, "is a run of learner: give --method learner", adapter=home, method="zero-shot")
    check_refusal(tmp_path, "is a run of learner", adapter=home, method="learner,zero-shot")
    check_refusal(tmp_path, "trains nothing", adapter=untrained, method="zero-shot")
    check_refusal(tmp_path, "was trained with seed 0: give --seed 0", adapter=home, seeds=(0, 1))
    check_refusal(tmp_path, "was not trained on LaMP-7 but on LaMP-3@1", adapter=home, task="LaMP-3,LaMP-7")
    check_refusal(tmp_path, "only nothing can be set anew", adapter=home, settings={"scope": "shared"})


def test_an_adapter_that_was_deleted_is_named(tmp_path: Path) -> None:
    home = run_at_home(tmp_path)
    checkpoint = tmp_path / "runs" / "fits" / read_spec(tmp_path, home)["fit"] / "checkpoint"
    shutil.rmtree(checkpoint)

    check_refusal(tmp_path, f"{checkpoint} is not there: train it again", adapter=home, base_model="other")


def test_a_method_that_changed_since_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = run_at_home(tmp_path)
    monkeypatch.setattr(get_method("learner"), "version", "2")
    monkeypatch.setattr(get_method("learner"), "prompts", lambda self, tasks: "new words")

    check_refusal(tmp_path, "was trained with other version, prompts of learner", adapter=home)


def test_nothing_is_scored_that_the_module_was_trained_on(tmp_path: Path) -> None:
    write_split(tmp_path / "LaMP_3", "dev", range(8))
    data = {"data": tmp_path, "limit": None}
    home = run_at_home(tmp_path, holdout=0.5, **data)

    (applied,) = run(plan(tmp_path, adapter=home, base_model="other", holdout=0.5, **data))

    assert applied.n == 4
    for share in (None, 0.25):
        check_refusal(tmp_path, "was trained on these examples of LaMP-3", adapter=home, holdout=share, **data)


def test_a_training_example_is_not_scored_in_another_split(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "LaMP_3"
    write_split(folder, "train", range(8))
    write_split(folder, "dev", range(6, 12))
    write_split(folder, "test", range(12, 16))
    data = {"data": tmp_path / "mine", "swap": False}
    home = run_at_home(tmp_path, split="test", limit=7, **data)  # the first seven of training: 6 and 7 are shared
    shutil.copytree(tmp_path / "mine", tmp_path / "copied")

    for options in (data, {**data, "data": tmp_path / "copied"}):
        with pytest.raises(RpobenchError, match="--split dev: id '6' of LaMP-3 is trained on and scored too"):
            run(plan(tmp_path, adapter=home, split="dev", **options))

        (applied,) = run(plan(tmp_path, adapter=home, base_model="other", split="test", **options))
        assert applied.n == 4


def test_only_what_predicting_reads_can_be_set_anew() -> None:
    rpo = get_method("rpo")

    assert rpo.applied == {"n", "select", "gate"} and get_method("sft-rag").applied == {"n", "select"}
    assert rpo.applied <= rpo.Config.model_fields.keys()
