"""Estimates: what a plan will ask, beside what it then asks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.benchmark import estimate, run
from rpobench.runs.plan import Plan, make_plan
from rpobench.runs.runner import Runner
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

pytestmark = pytest.mark.usefixtures("model")


def plan(out: Path, method: str, **options: Any) -> Plan:
    return make_plan(**{"method": method, "task": "LaMP-3", "limit": 9, "out": out / "runs", **options})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("zero-shot", {}),
        ("zero-shot,peek", {"seeds": (0, 1)}),
        ("ponder", {"task": "LaMP-7"}),
        ("ponder,peek", {"seeds": (0, 1), "swap": False}),
        ("learner", {}),
    ],
)
def test_as_many_calls_as_are_then_made(
    tmp_path: Path, model: ScriptedModel, method: str, options: dict[str, Any]
) -> None:
    estimated = estimate(plan(tmp_path, method, **options))
    assert model.calls == 0 and not (tmp_path / "runs").exists()

    run(plan(tmp_path, method, **options))

    # A trained method may draft what it predicts; this one does not.
    drafts_nobody_needs = 9 if method == "learner" else 0
    assert estimated.calls == model.calls + drafts_nobody_needs

    tokens_read = sum(len(message.content) for chat in model.chats for message in chat) / 4
    assert estimated.prompt_tokens >= 0.9 * tokens_read and estimated.dollars is None
    assert estimate(plan(tmp_path, method, **options)).calls == 0, "all of it is there"


def test_what_is_left_of_a_plan(tmp_path: Path, model: ScriptedModel) -> None:
    run(plan(tmp_path, "zero-shot"))

    assert estimate(plan(tmp_path, "zero-shot,peek")).calls == 0, "the drafts are there"
    assert estimate(plan(tmp_path, "zero-shot", limit=20)).calls == 11
    assert estimate(plan(tmp_path, "ponder")).calls == 9


def test_dollars_where_there_is_a_price(tmp_path: Path) -> None:
    estimated = estimate(plan(tmp_path, "ponder", price="1,1"))

    assert estimated.dollars == pytest.approx((estimated.prompt_tokens + estimated.new_tokens) / 1e6)
    assert f"at most about ${estimated.dollars:.4f}" in estimated.describe()

    run(plan(tmp_path, "ponder", price="1,1"))
    assert estimate(plan(tmp_path, "ponder", price="1,1")).dollars == 0


def test_a_budget_wants_a_price(tmp_path: Path, model: ScriptedModel) -> None:
    with pytest.raises(RpobenchError, match="--max-cost 1: the price of smollm2-135m is unknown; give --price"):
        run(plan(tmp_path, "zero-shot", max_cost=1.0))

    (tmp_path / "prices.json").write_text('{"openai:other": [1, 2]}')
    with pytest.raises(RpobenchError, match="--max-cost"):
        run(plan(tmp_path, "zero-shot", max_cost=1.0, price=str(tmp_path / "prices.json")))
    assert model.calls == 0

    for max_cost in (-1.0, float("nan")):
        with pytest.raises(RpobenchError, match="--max-cost"):
            plan(tmp_path, "zero-shot", max_cost=max_cost)


def test_a_served_teacher_is_outside_of_every_budget(
    tmp_path: Path, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    settings = {"writer": "teacher", "teacher": "openai:wise"}

    fault = r"--max-cost 1: rpo also asks its teacher openai:wise.*leave --max-cost out"
    with pytest.raises(RpobenchError, match=fault):
        run(plan(tmp_path, "rpo", max_cost=1.0, price="1,1", settings=settings))

    estimate(plan(tmp_path, "rpo", settings=settings))
    assert "rpo also asks its teacher openai:wise" in capsys.readouterr().err
    assert model.calls == 0


def test_a_local_prompt_beyond_the_context_names_its_example(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 90}))
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: TransformersModel(small))

    fault = r"LaMP-3 example '[^']+': tiny: a prompt of \d+ tokens .* context of 90; "
    with pytest.raises(RpobenchError, match=fault):
        run(plan(tmp_path, "zero-shot"))


def test_missing_drafts_hold_no_profiles(tmp_path: Path, model: ScriptedModel) -> None:
    examples = generate("LaMP-3", "dev", 4).examples

    missing = Runner(ResultStore(tmp_path), model, seed=0).find_undrafted(get_task("LaMP-3"), examples)

    assert [example.id for example in missing.values()] == [example.id for example in examples]
    assert not any(example.profile for example in missing.values())
