"""From a plan to results: what is fitted, predicted, scored, kept and reused, with methods of somebody else's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paths import TESTS
from words import Words

import rpobench
from rpobench import get_task
from rpobench.cli.summary import print_summary
from rpobench.data.synth.world import generate
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.registry import get_method
from rpobench.runs.benchmark import run
from rpobench.runs.drafts import CHUNK
from rpobench.runs.environment import PromptHashes, _note_used, environment
from rpobench.runs.estimate import Rehearsal
from rpobench.runs.plan import Plan, make_plan
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What was fitted so far, one entry a call of `fit`."""
    log = tmp_path / "fits.log"
    monkeypatch.setenv("TOY_LOG", str(log))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def plan(out: Path, method: str, task: str = "LaMP-3", **options: Any) -> Plan:
    return make_plan(method=method, task=task, out=out / "runs", **{"limit": 6, **options})


def stored(out: Path, name: str, file: str = "result.json") -> dict[str, Any]:
    return read_json(out / "runs" / name / file)


def test_an_object_a_run_has_exactly_these_fields(tmp_path: Path) -> None:
    (one,) = run(plan(tmp_path, "peek"))
    assert set(one) == {
        "run", "task", "method", "metrics", "main_metric", "higher_is_better", "n", "failed", "seconds", "references",
    }  # fmt: skip
    assert set(one["references"]) == {"draft", "best_generic", "oracle", "swapped"}
    assert set(one["metrics"]) == {"MAE", "RMSE"} and one["main_metric"] == "MAE" and not one["higher_is_better"]
    assert (one["n"], one["failed"]) == (6, 0)
    assert json.loads(json.dumps(one)) == one


def test_the_share_of_kept_drafts_is_in_the_result_of_a_method_with_a_gate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (plain,) = run(plan(tmp_path / "plain", "peek"))
    assert "kept" not in plain and "kept" not in stored(tmp_path / "plain", plain["run"])
    lines = (tmp_path / "plain" / "runs" / plain["run"] / "predictions.jsonl").read_text()
    assert "kept" not in lines
    peek: Any = get_method("peek")
    predict = peek.predict

    def gated(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        for place, one in enumerate(predict(self, task, examples, ctx)):
            yield replace(one, kept=place < 2)

    monkeypatch.setattr(peek, "predict", gated)
    (one,) = run(plan(tmp_path, "peek"))
    assert one["kept"] == stored(tmp_path, one["run"])["kept"] == pytest.approx(2 / 6)
    print_summary([one, plain], synthetic=True, out=tmp_path)
    told = capsys.readouterr().out
    assert "drafts kept" in told and "33%" in told
    print_summary([plain], synthetic=True, out=tmp_path)
    assert "drafts kept" not in capsys.readouterr().out


def test_metrics_are_the_tasks_own_over_the_predicted_texts(tmp_path: Path) -> None:
    (one,) = run(plan(tmp_path, "peek"))
    task, data = get_task("LaMP-3"), generate("LaMP-3", "dev", 6)
    targets = [labelled.target for labelled in data.labelled]
    own = [labelled.example.profile[0].fields["score"] for labelled in data.labelled]
    assert one["metrics"] == task.aggregate(own, targets)
    assert one["references"]["oracle"] == task.aggregate(list(data.references["oracle"].values()), targets)["MAE"]
    assert one["references"]["best_generic"] > one["references"]["oracle"]
    result = stored(tmp_path, one["run"])
    assert result["scores"] == {
        labelled.example.id: task.score(text, labelled.target)
        for labelled, text in zip(data.labelled, own, strict=True)
    }
    assert result["strict"]["MAE"] > result["metrics"]["MAE"], "'raw 3' is no rating to the official scorer"


def test_a_method_that_lives_from_profiles_loses_by_the_swap(tmp_path: Path) -> None:
    (one,) = run(plan(tmp_path, "peek", "LaMP-2", limit=60))
    assert one["references"]["swapped"] < one["metrics"]["accuracy"]


def test_swapped_runs_stand_alone_only_when_asked_for(tmp_path: Path) -> None:
    (own,) = run(plan(tmp_path, "peek"))
    (swapped,) = run(plan(tmp_path, "peek", profiles="swapped"))
    assert swapped["metrics"]["MAE"] == own["references"]["swapped"]
    assert swapped["references"]["swapped"] is None
    (bare,) = run(plan(tmp_path / "other", "peek", swap=False))
    assert bare["references"]["swapped"] is None and bare["metrics"] == own["metrics"]


def test_no_control_for_methods_that_read_no_profile_and_where_nobody_lends_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (zero,) = run(plan(tmp_path, "zero-shot"))
    assert zero["references"]["swapped"] is None and len(ResultStore(tmp_path / "runs").results()) == 1
    (alone,) = run(plan(tmp_path, "peek", limit=1))
    assert alone["references"]["swapped"] is None
    assert "LaMP-3: no personalization gain, swapped profiles need two users" in capsys.readouterr().err
    with pytest.raises(RpobenchError, match="two users"):
        run(plan(tmp_path, "peek", limit=1, profiles="swapped"))


def test_drafts_are_made_once_for_all_methods_profiles_and_seeds(tmp_path: Path, model: ScriptedModel) -> None:
    runs = run(plan(tmp_path, "zero-shot,peek", seeds=(0, 1)))
    assert model.calls == 6
    assert len({one["references"]["draft"] for one in runs}) == 1
    assert runs[0]["metrics"]["MAE"] == runs[0]["references"]["draft"], "zero-shot is the draft"
    run(plan(tmp_path, "peek", limit=8))
    assert model.calls == 8, "the first six inputs have drafts already"


def test_another_base_model_gets_drafts_of_its_own(tmp_path: Path, model: ScriptedModel) -> None:
    run(plan(tmp_path, "zero-shot"))
    model.identity = "scripted@2"
    run(plan(tmp_path, "zero-shot"))
    assert model.calls == 12


def test_a_finished_run_is_not_made_again(tmp_path: Path, model: ScriptedModel) -> None:
    first = run(plan(tmp_path, "zero-shot,peek,learner"))
    calls = model.calls
    files = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert run(plan(tmp_path, "zero-shot,peek,learner")) == first
    assert model.calls == calls
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()} == files


def test_predictions_are_written_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    peek = get_method("peek")
    predict = peek.predict

    def counted(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        if isinstance(ctx.base_model, Rehearsal):
            return predict(self, task, examples, ctx)
        asked.append(len(examples))
        if len(asked) == 2:
            raise RpobenchError("the power went")
        return predict(self, task, examples, ctx)

    monkeypatch.setattr(peek, "predict", counted)
    with pytest.raises(RpobenchError, match="the power went"):
        run(plan(tmp_path, "peek", limit=CHUNK + 3, swap=False))
    (lines,) = (tmp_path / "runs").glob("*/predictions.jsonl")
    assert len(lines.read_text().splitlines()) == CHUNK
    run(plan(tmp_path, "peek", limit=CHUNK + 3, swap=False))
    assert asked == [CHUNK, 3, 3]


def test_seconds_count_every_attempt_and_charge_shared_drafts_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = ScriptedModel(echo, delay=0.02)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: slow)
    first, second = run(plan(tmp_path, "zero-shot,peek", swap=False, limit=10))
    assert slow.calls == 10
    assert first["seconds"] >= 0.2 and second["seconds"] >= 0.2, "who uses drafts that were found pays for them too"
    assert abs(first["seconds"] - second["seconds"]) < 0.1


def test_a_method_must_answer_what_it_was_asked(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="method silent: 0 predictions for 6 examples"):
        run(plan(tmp_path, "silent"))
    assert ResultStore(tmp_path / "runs").results() == []


def test_a_method_that_does_not_apply_is_named_and_has_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = run(plan(tmp_path, "only-ratings", "LaMP-3,LaMP-7"))
    assert [one["task"] for one in runs] == ["LaMP-3"]
    assert "LaMP-7: only-ratings does not apply, n/a" in capsys.readouterr().err


def test_training_is_on_other_users_and_as_large_as_the_limit(tmp_path: Path, fits: Any) -> None:
    run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", limit=5))
    assert fits() == [{"fit": ["LaMP-3"], "examples": [5]}, {"fit": ["LaMP-7"], "examples": [5]}]


def test_a_shared_fit_sees_all_tasks_at_once_and_is_not_repeated(tmp_path: Path, fits: Any) -> None:
    options = {"settings": {"scope": "shared"}}
    first = run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", **options))
    assert fits() == [{"fit": ["LaMP-3", "LaMP-7"], "examples": [6, 6]}]
    (checkpoint,) = (tmp_path / "runs" / "fits").glob("*/checkpoint")
    assert not (checkpoint.parent / "work").exists()
    fit = checkpoint.parent.name
    assert {stored(tmp_path, one["run"], "spec.json")["fit"] for one in first} == {fit}
    run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", profiles="swapped", **options))
    assert len(fits()) == 1


def test_another_training_set_is_another_fit(tmp_path: Path, fits: Any) -> None:
    run(plan(tmp_path, "learner", limit=5))
    run(plan(tmp_path, "learner", limit=6))
    run(plan(tmp_path, "learner", limit=6, seeds=(1,)))
    assert len(fits()) == 3


def test_environment_names_versions_and_hashes_and_no_path(tmp_path: Path) -> None:
    (one,) = run(plan(tmp_path, "zero-shot"))
    found = stored(tmp_path, one["run"], "environment.json")
    assert found["processor"] and found["cores"] >= 1
    assert found["packages"]["rpobench"] == rpobench.__version__
    assert found["data_sha256"] == generate("LaMP-3", "dev", 6).sha256
    assert str(tmp_path) not in json.dumps(found)


def test_evidence_that_would_be_cut_otherwise_is_not_continued(tmp_path: Path) -> None:
    (one,) = run(plan(tmp_path, "zero-shot"))
    (file,) = tmp_path.glob(f"**/{Path(one['run']).name}/environment.json")
    _note_used(file, {"reference_tokenizer": "words@1"})
    with pytest.raises(RpobenchError, match="was cut by words@1, now it is words@2"):
        _note_used(file, {"reference_tokenizer": "words@2"})


def test_environment_names_what_ranked_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.runs.runner._reference_tokenizer", Words)
    bare, rag = run(plan(tmp_path, "zero-shot,rag-bm25", swap=False))
    found = stored(tmp_path, rag["run"], "environment.json")
    assert (found["reference_tokenizer"], found["retrievers"]) == ("words@1", ["bm25okapi-0.2.2"])
    found = stored(tmp_path, bare["run"], "environment.json")
    assert (found["reference_tokenizer"], found["retrievers"]) == (None, [])


@pytest.mark.parametrize(("said", "dirty"), [("", False), (" M rpobench/runner.py\n", True)])
def test_environment_says_whether_the_code_is_that_of_its_commit(
    monkeypatch: pytest.MonkeyPatch, said: str, dirty: bool
) -> None:
    monkeypatch.setattr(
        "rpobench.runs.environment._git", lambda folder, *asked: said if asked[0] == "status" else "ab12\n"
    )
    found = environment(data_sha256="", hashes=PromptHashes("", ""))
    assert (found["commit"], found["dirty"]) == ("ab12", dirty)


def test_a_run_whose_prompts_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(plan(tmp_path, "zero-shot"))
    monkeypatch.setattr(type(get_task("LaMP-3")), "with_evidence", lambda self, input, evidence: "other words")
    with pytest.raises(RpobenchError, match="prompt_sha256 differs"):
        run(plan(tmp_path, "zero-shot"))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"method": "zero-shoot"}, "unknown method 'zero-shoot': did you mean zero-shot"),
        ({"task": "LaMP-33"}, "unknown task 'LaMP-33': did you mean LaMP-3"),
        ({"preset": "quik"}, "unknown preset 'quik': did you mean quick"),
        ({"settings": {"plac": "1"}}, "--set plac: no such option of peek: did you mean place"),
        ({"settings": {"place": "x"}}, "--set place=x: .*integer"),
        ({"data": "nowhere"}, "nowhere"),
        ({"split": "dve"}, "dve"),
        ({"data": "synth:x"}, "world seed"),
        ({"data": str(TESTS)}, "LaMP_3"),
        ({"task": "LaMP-2N"}, "LaMP-2N"),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(
    tmp_path: Path, options: dict[str, Any], fault: str, model: ScriptedModel
) -> None:
    wrong = Plan(**{"method": "peek", "task": "LaMP-3", "limit": 2, "out": tmp_path / "runs", **options})
    with pytest.raises(RpobenchError, match=fault) as raised:
        run(wrong)
    assert "\n" not in str(raised.value)
    assert model.calls == 0 and not (tmp_path / "runs").exists()


def test_settings_reach_the_methods_that_have_them(tmp_path: Path) -> None:
    own, other = run(plan(tmp_path, "peek,zero-shot", settings={"place": "1"}))
    assert stored(tmp_path, own["run"], "spec.json")["config"] == {"place": 1}
    assert stored(tmp_path, other["run"], "spec.json")["config"] == {}


def test_all_skips_a_task_without_data_and_a_named_one_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = official(tmp_path)
    runs = run(plan(tmp_path, "peek,learner", "all", data=str(folder)))
    assert [(one["method"], one["task"]) for one in runs] == [("peek", "LaMP-3")]
    told = capsys.readouterr().err
    assert "LaMP-6: skipped, " in told and "LaMP-3: learner skipped, " in told and "--holdout" in told
    with pytest.raises(RpobenchError, match="LaMP_6"):
        run(plan(tmp_path, "peek", "LaMP-6", data=str(folder)))
    with pytest.raises(RpobenchError, match="--holdout"):
        run(plan(tmp_path, "learner", "LaMP-3", data=str(folder)))


def test_holdout_trains_on_some_users_and_scores_on_the_others(tmp_path: Path, fits: Any) -> None:
    folder = official(tmp_path)
    learner, peek = run(plan(tmp_path, "learner,peek", data=str(folder), holdout=0.5, limit=None))
    assert learner["n"] == peek["n"] == 5
    assert fits() == [{"fit": ["LaMP-3"], "examples": [5]}]
    assert stored(tmp_path, peek["run"], "spec.json")["data"]["source"] == folder.name
    assert stored(tmp_path, peek["run"])["users"] == "inferred"
    assert peek["failed"] == 0 and peek["references"]["oracle"] is None
    for share in (0.0, 1.0):
        with pytest.raises(RpobenchError, match=f"--holdout {share}: leaves one side"):
            run(plan(tmp_path, "peek", data=str(folder), holdout=share))


def official(root: Path) -> Path:
    """Ten examples of LaMP-3 in the official form, one a user; the third has an empty profile."""
    folder = root / "some_lamp" / "LaMP_3"
    folder.mkdir(parents=True)
    data = generate("LaMP-3", "dev", 10)
    questions = [
        {
            "id": one.example.id,
            "input": one.example.input,
            "profile": [{"id": item.id, **item.fields} for item in one.example.profile] if place != 2 else [],
        }
        for place, one in enumerate(data.labelled)
    ]
    golds = [{"id": one.example.id, "output": one.target} for one in data.labelled]
    (folder / "dev_questions.json").write_text(json.dumps(questions))
    (folder / "dev_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": golds}))
    return folder.parent


def test_from_python_it_is_the_same(tmp_path: Path) -> None:
    options = {"limit": 6, "out": tmp_path / "runs"}
    assert rpobench.run("peek", "LaMP-3", **options) == run(plan(tmp_path, "peek"))
