"""From a plan to results: what is fitted, predicted, scored, kept and reused, with methods of somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from official_files import write_official_split
from paths import TESTS

import rpobench
from rpobench import get_task
from rpobench.cli.summary import print_summary
from rpobench.data.synth.world import generate
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.registry import get_method
from rpobench.runs.benchmark import run
from rpobench.runs.drafts import CHUNK
from rpobench.runs.plan import Plan, make_plan
from rpobench.runs.stand_ins import StandInModel
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

pytestmark = pytest.mark.usefixtures("model")

FitLog = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitLog:
    """What was fitted so far, one entry a call of `fit`."""
    log = tmp_path / "fits.log"
    monkeypatch.setenv("TOY_LOG", str(log))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def plan(out: Path, method: str, task: str = "LaMP-3", **options: Any) -> Plan:
    return make_plan(method=method, task=task, out=out / "runs", **{"limit": 6, **options})


def read_stored(out: Path, run_name: str, file: str = "result.json") -> dict[str, Any]:
    return read_json(out / "runs" / run_name / file)


def test_the_object_of_a_run_has_exactly_these_fields(tmp_path: Path) -> None:
    (summary,) = run(plan(tmp_path, "peek"))

    content = summary.to_json()

    assert set(content) == {
        "run", "task", "method", "metrics", "main_metric", "higher_is_better", "n", "failed", "seconds", "references",
        "unanswered", "row", "seed", "serves_every_seed", "knobs", "base_model", "data",
    }  # fmt: skip
    assert set(content["references"]) == {"draft", "best_generic", "oracle", "swapped"}
    assert set(content["metrics"]) == {"MAE", "RMSE"} and content["main_metric"] == "MAE"
    assert not content["higher_is_better"]
    assert (content["n"], content["failed"]) == (6, 0)
    assert json.loads(json.dumps(content)) == content


def test_only_a_gate_has_a_share_of_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (plain,) = run(plan(tmp_path / "plain", "peek"))

    assert "kept" not in plain.to_json() and "kept" not in read_stored(tmp_path / "plain", plain.run)
    assert "kept" not in (tmp_path / "plain" / "runs" / plain.run / "predictions.jsonl").read_text()

    peek: Any = get_method("peek")
    predict = peek.predict

    def predict_with_gate(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        for index, prediction in enumerate(predict(self, task, examples, ctx)):
            yield replace(prediction, draft_kept=index < 2)

    monkeypatch.setattr(peek, "predict", predict_with_gate)
    (gated,) = run(plan(tmp_path, "peek"))

    assert gated.to_json()["kept"] == read_stored(tmp_path, gated.run)["kept"] == pytest.approx(2 / 6)
    print_summary([gated, plain], synthetic=True, out=tmp_path)
    table = capsys.readouterr().out
    assert "drafts kept" in table and "33%" in table
    print_summary([plain], synthetic=True, out=tmp_path)
    assert "drafts kept" not in capsys.readouterr().out


def test_metrics_are_the_tasks_own_over_the_predicted_texts(tmp_path: Path) -> None:
    (summary,) = run(plan(tmp_path, "peek"))

    task, data = get_task("LaMP-3"), generate("LaMP-3", "dev", 6)
    targets = [labelled.target for labelled in data.labelled]
    texts = [labelled.example.profile[0].fields["score"] for labelled in data.labelled]
    oracle_texts = list(data.references["oracle"].values())
    assert summary.metrics == task.aggregate(texts, targets)
    assert summary.references.oracle == task.aggregate(oracle_texts, targets)["MAE"]
    assert summary.references.best_generic and summary.references.best_generic > summary.references.oracle

    result = read_stored(tmp_path, summary.run)
    assert result["scores"] == {
        labelled.example.id: task.score(text, labelled.target)
        for labelled, text in zip(data.labelled, texts, strict=True)
    }
    assert result["strict"]["MAE"] > result["metrics"]["MAE"], "'raw 3' is no rating to the official scorer"


def test_a_method_that_lives_from_profiles_loses_by_the_swap(tmp_path: Path) -> None:
    (summary,) = run(plan(tmp_path, "peek", "LaMP-2", limit=60))

    assert summary.references.swapped is not None
    assert summary.references.swapped < summary.metrics["accuracy"]


def test_swapped_runs_stand_alone_only_when_asked_for(tmp_path: Path) -> None:
    (with_control,) = run(plan(tmp_path, "peek"))
    (swapped,) = run(plan(tmp_path, "peek", profiles="swapped"))
    (bare,) = run(plan(tmp_path / "other", "peek", swap=False))

    assert swapped.metrics["MAE"] == with_control.references.swapped
    assert swapped.references.swapped is None
    assert bare.references.swapped is None and bare.metrics == with_control.metrics


def test_no_control_where_no_profile_can_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (zero_shot,) = run(plan(tmp_path, "zero-shot"))
    assert zero_shot.references.swapped is None and len(ResultStore(tmp_path / "runs").find_runs()) == 1

    (single_user,) = run(plan(tmp_path, "peek", limit=1))
    assert single_user.references.swapped is None
    assert "LaMP-3: no personalization gain, swapped profiles need two users" in capsys.readouterr().err

    with pytest.raises(RpobenchError, match="two users"):
        run(plan(tmp_path, "peek", limit=1, profiles="swapped"))


def test_drafts_are_made_once_for_all_methods_and_seeds(tmp_path: Path, model: ScriptedModel) -> None:
    summaries = run(plan(tmp_path, "zero-shot,peek", seeds=(0, 1)))

    assert model.calls == 6
    assert len({summary.references.draft for summary in summaries}) == 1
    assert summaries[0].metrics["MAE"] == summaries[0].references.draft, "zero-shot is the draft"

    run(plan(tmp_path, "peek", limit=8))
    assert model.calls == 8, "the first six inputs have drafts already"


def test_another_base_model_gets_drafts_of_its_own(tmp_path: Path, model: ScriptedModel) -> None:
    run(plan(tmp_path, "zero-shot"))
    model.identity = "scripted@2"
    run(plan(tmp_path, "zero-shot"))

    assert model.calls == 12


def test_a_finished_run_is_not_made_again(tmp_path: Path, model: ScriptedModel) -> None:
    def read_files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}

    first = run(plan(tmp_path, "zero-shot,peek,learner"))
    calls, files = model.calls, read_files()

    assert run(plan(tmp_path, "zero-shot,peek,learner")) == first
    assert model.calls == calls
    assert read_files() == files


def test_predictions_are_written_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk_sizes: list[int] = []
    peek = get_method("peek")
    predict = peek.predict

    def fail_at_second_chunk(self: Any, task: Any, examples: Any, ctx: Any) -> Any:
        if isinstance(ctx.base_model, StandInModel):
            return predict(self, task, examples, ctx)
        chunk_sizes.append(len(examples))
        if len(chunk_sizes) == 2:
            raise RpobenchError("the power went")
        return predict(self, task, examples, ctx)

    monkeypatch.setattr(peek, "predict", fail_at_second_chunk)
    with pytest.raises(RpobenchError, match="the power went"):
        run(plan(tmp_path, "peek", limit=CHUNK + 3, swap=False))

    (predictions,) = (tmp_path / "runs").glob("*/predictions.jsonl")
    assert len(predictions.read_text().splitlines()) == CHUNK

    run(plan(tmp_path, "peek", limit=CHUNK + 3, swap=False))
    assert chunk_sizes == [CHUNK, 3, 3]


def test_seconds_count_every_attempt_and_shared_drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_model = ScriptedModel(echo, delay=0.02)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: slow_model)

    first, second = run(plan(tmp_path, "zero-shot,peek", swap=False, limit=10))

    assert slow_model.calls == 10
    assert first.seconds >= 0.2 and second.seconds >= 0.2, "who uses drafts that were found pays for them too"
    assert abs(first.seconds - second.seconds) < 0.1


def test_a_method_must_answer_what_it_was_asked(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="method silent: 0 predictions for 6 examples"):
        run(plan(tmp_path, "silent"))

    assert ResultStore(tmp_path / "runs").find_runs() == []


def test_a_method_that_does_not_apply_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summaries = run(plan(tmp_path, "only-ratings", "LaMP-3,LaMP-7"))

    assert [summary.task for summary in summaries] == ["LaMP-3"]
    assert "LaMP-7: only-ratings does not apply, n/a" in capsys.readouterr().err


def test_training_is_on_other_users_and_as_large_as_the_limit(tmp_path: Path, fits: FitLog) -> None:
    run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", limit=5))

    assert fits() == [{"fit": ["LaMP-3"], "examples": [5]}, {"fit": ["LaMP-7"], "examples": [5]}]


def test_a_shared_fit_sees_all_tasks_and_is_not_repeated(tmp_path: Path, fits: FitLog) -> None:
    options = {"settings": {"scope": "shared"}}

    first = run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", **options))

    assert fits() == [{"fit": ["LaMP-3", "LaMP-7"], "examples": [6, 6]}]
    (checkpoint,) = (tmp_path / "runs" / "fits").glob("*/checkpoint")
    assert not (checkpoint.parent / "work").exists()
    digests = {read_stored(tmp_path, summary.run, "spec.json")["fit"] for summary in first}
    assert digests == {checkpoint.parent.name}

    run(plan(tmp_path, "learner", "LaMP-3,LaMP-7", profiles="swapped", **options))
    assert len(fits()) == 1


def test_another_training_set_is_another_fit(tmp_path: Path, fits: FitLog) -> None:
    run(plan(tmp_path, "learner", limit=5))
    run(plan(tmp_path, "learner", limit=6))
    run(plan(tmp_path, "learner", limit=6, seeds=(1,)))

    assert len(fits()) == 3


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"method": "zero-shoot"}, "unknown method 'zero-shoot': did you mean zero-shot"),
        ({"task": "LaMP-33"}, "unknown task 'LaMP-33': did you mean LaMP-3"),
        ({"preset": "quik"}, "unknown preset 'quik': did you mean quick"),
        ({"settings": {"inde": "1"}}, "--set inde: no such option of peek: did you mean index"),
        ({"settings": {"index": "x"}}, "--set index=x: .*integer"),
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
    wrong_plan = Plan(**{"method": "peek", "task": "LaMP-3", "limit": 2, "out": tmp_path / "runs", **options})

    with pytest.raises(RpobenchError, match=fault) as error:
        run(wrong_plan)

    assert "\n" not in str(error.value)
    assert model.calls == 0 and not (tmp_path / "runs").exists()


def test_settings_reach_the_methods_that_have_them(tmp_path: Path) -> None:
    peek, zero_shot = run(plan(tmp_path, "peek,zero-shot", settings={"index": "1"}))

    assert read_stored(tmp_path, peek.run, "spec.json")["config"] == {"index": 1}
    assert read_stored(tmp_path, zero_shot.run, "spec.json")["config"] == {}


def test_all_skips_a_task_without_data_and_a_named_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_data_without_users(tmp_path)

    summaries = run(plan(tmp_path, "peek,learner", "all", data=str(folder)))

    assert [(summary.method, summary.task) for summary in summaries] == [("peek", "LaMP-3")]
    messages = capsys.readouterr().err
    assert "LaMP-6: skipped, " in messages and "LaMP-3: learner skipped, " in messages and "--holdout" in messages

    with pytest.raises(RpobenchError, match="LaMP_6"):
        run(plan(tmp_path, "peek", "LaMP-6", data=str(folder)))
    with pytest.raises(RpobenchError, match="--holdout"):
        run(plan(tmp_path, "learner", "LaMP-3", data=str(folder)))


def test_holdout_trains_on_some_users_and_scores_on_the_others(tmp_path: Path, fits: FitLog) -> None:
    folder = write_data_without_users(tmp_path)

    learner, peek = run(plan(tmp_path, "learner,peek", data=str(folder), holdout=0.5, limit=None))

    assert learner.n == peek.n == 5
    assert fits() == [{"fit": ["LaMP-3"], "examples": [5]}]
    assert read_stored(tmp_path, peek.run, "spec.json")["data"]["source"] == folder.name
    assert read_stored(tmp_path, peek.run)["users"] == "inferred"
    assert peek.failed == 0 and peek.references.oracle is None

    for share in (0.0, 1.0):
        with pytest.raises(RpobenchError, match=f"--holdout {share}: leaves one side"):
            run(plan(tmp_path, "peek", data=str(folder), holdout=share))


def write_data_without_users(root: Path) -> Path:
    """Write ten examples of LaMP-3 in the official form, one a user; the third has an empty profile."""
    labelled = list(generate("LaMP-3", "dev", 10).labelled)
    labelled[2] = replace(labelled[2], example=replace(labelled[2].example, profile=()))
    return write_official_split(root / "some_lamp", "LaMP-3", "dev", labelled, with_users=False)


def test_from_python_it_is_the_same(tmp_path: Path) -> None:
    from_python = rpobench.run("peek", "LaMP-3", limit=6, out=tmp_path / "runs")

    assert from_python == [summary.to_json() for summary in run(plan(tmp_path, "peek"))]


def test_training_has_a_limit_of_its_own(tmp_path: Path, fits: FitLog) -> None:
    for split, seed in (("train", 1), ("dev", 2)):
        write_official_split(tmp_path, "LaMP-3", split, generate("LaMP-3", split, 12, seed=seed).labelled)

    (on_folder,) = run(plan(tmp_path, "learner", data=tmp_path, limit=4, train_limit=9))
    (on_world,) = run(plan(tmp_path, "learner", limit=4, train_limit=9))

    store = ResultStore(tmp_path / "runs")
    for summary, rule in ((on_folder, "users"), (on_world, None)):
        stored = store.find(summary.run)
        assert stored.fit_spec is not None and summary.n == 4
        assert (stored.fit_spec.data[0].limit, stored.fit_spec.data[0].sample) == (9, rule)
        assert (stored.spec.data.limit, stored.spec.data.sample) == (4, rule)
    assert len(fits()) == 2


def test_a_training_limit_is_checked() -> None:
    with pytest.raises(RpobenchError, match="--train-limit 0"):
        make_plan(method="learner", task="LaMP-3", train_limit=0)
