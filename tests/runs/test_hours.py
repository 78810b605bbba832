"""Hours told before a run starts: tokens of local models, at the speeds of a sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench

from rpobench.method.token_work import TokenWork
from rpobench.models.local.transformers import TransformersModel
from rpobench.runs import hours
from rpobench.runs.benchmark import rehearse, run
from rpobench.runs.hours import Hours, TimedWork, format_minutes
from rpobench.runs.machine_speed import BESIDE, MachineSpeed, measure_speed
from rpobench.runs.plan import Plan, make_plan

SPEED = MachineSpeed(read=1000, written=100, sampled=50, trained=200, peak_memory=3_000_000_000)
MODULE: dict[str, Any] = {"lora_rank": 1, "sft_epochs": 1.0, "max_new_tokens": 8, "rl_group": 2, "rl_prompts": 1}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were measured; all of them have the speed of `SPEED`."""
    names: list[str] = []

    def measure(model: TransformersModel, *, trains: bool) -> MachineSpeed:
        names.append(f"{model.name} trains" if trains else model.name)
        return SPEED

    monkeypatch.setattr(hours, "measure_speed", measure)
    return names


@pytest.fixture
def spec(tiny_checkpoint: Path) -> str:
    """The tiny model as a base model."""
    return f"hf:{tiny_checkpoint}"


def plan(out: Path, method: str, base_model: str, **options: Any) -> Plan:
    values = {"task": "LaMP-3", "limit": 4, "train_limit": 10, "out": out / "runs", **options}
    return make_plan(method=method, base_model=base_model, **values)


def take_time(plan: Plan) -> Hours:
    return rehearse(plan).take_time()


def minutes_by_part(estimated: Hours) -> dict[str, float]:
    return {part.name: part.minutes for part in estimated.parts}


def test_seconds_follow_from_tokens_and_speeds() -> None:
    seconds = SPEED.seconds(TokenWork(read=2000, written=100, sampled=100, trained=100))

    assert seconds == pytest.approx(BESIDE * (2 + 1 + 2 + 0.5))
    assert SPEED.seconds(TokenWork(read=1) * 3 + TokenWork(read=1)) == pytest.approx(BESIDE * 0.004)


def test_twice_the_examples_take_twice_the_time(tmp_path: Path, spec: str, measured: list[str]) -> None:
    few = take_time(plan(tmp_path, "zero-shot", spec, limit=8))
    many = take_time(plan(tmp_path, "zero-shot", spec, limit=16))

    assert many.minutes == pytest.approx(2 * few.minutes, rel=0.1)
    assert few.peak_memory == SPEED.peak_memory
    assert measured == ["tiny", "tiny"]


def test_drafts_are_counted_once_and_controls_apart(tmp_path: Path, spec: str, measured: list[str]) -> None:
    parts = minutes_by_part(take_time(plan(tmp_path, "zero-shot,rag-bm25", spec)))

    assert list(parts) == ["LaMP-3 drafts", "LaMP-3 rag-bm25", "LaMP-3 rag-bm25, swapped profiles"]


def test_what_is_finished_takes_no_time(tmp_path: Path, spec: str, measured: list[str]) -> None:
    run(plan(tmp_path, "zero-shot", spec, limit=2))

    assert take_time(plan(tmp_path, "zero-shot", spec, limit=2)).minutes == 0
    assert measured == []


def test_a_shared_fit_is_counted_once(tmp_path: Path, spec: str, measured: list[str]) -> None:
    """Stage 2 has its steps whatever the number of tasks."""
    settings = {**MODULE, "reflection_model": spec, "sft_epochs": 0.01}
    one = minutes_by_part(take_time(plan(tmp_path, "rpo", spec, settings=settings)))
    two = minutes_by_part(take_time(plan(tmp_path, "rpo", spec, settings=settings, task="LaMP-3,LaMP-7")))

    assert two["rpo, training"] == pytest.approx(one["rpo, training"], rel=0.5)
    assert {"LaMP-7 rpo", "LaMP-7 rpo, swapped profiles"} <= set(two)
    assert measured == ["tiny trains", "tiny trains"], "base and reflection model are one"


def test_more_training_takes_longer(tmp_path: Path, spec: str, measured: list[str]) -> None:
    settings = {**MODULE, "reflection_model": spec, "rl": "none"}
    short = minutes_by_part(take_time(plan(tmp_path, "rpo", spec, settings=settings)))
    long = minutes_by_part(take_time(plan(tmp_path, "rpo", spec, settings={**settings, "sft_epochs": 3.0})))
    refined = minutes_by_part(take_time(plan(tmp_path, "rpo", spec, settings={**settings, "rl": "grpo"})))

    assert long["rpo, training"] == pytest.approx(3 * short["rpo, training"])
    assert refined["rpo, training"] > short["rpo, training"]


def test_scripted_answers_take_no_time(tmp_path: Path, measured: list[str]) -> None:
    estimated = take_time(plan(tmp_path, "zero-shot,rag-bm25", "scripted:echo"))

    assert estimated.minutes == 0 and measured == []


def test_the_time_of_a_server_is_not_guessed(tmp_path: Path, measured: list[str]) -> None:
    base_model, options = "openai:somebody", {"base_url": "http://127.0.0.1:9/v1"}

    estimated = take_time(plan(tmp_path, "zero-shot", base_model, **options))

    assert estimated.minutes == 0 and measured == []
    assert "answers elsewhere" in "\n".join(estimated.describe())


def test_a_dry_run_prints_the_parts(tmp_path: Path, spec: str, measured: list[str]) -> None:
    command = ["run", "--method", "rag-bm25", "--task", "LaMP-3", "--limit", "4", "--base-model", spec, "--dry-run"]

    screen = run_rpobench(*command, "--out", tmp_path / "runs")
    numbers = json.loads(run_rpobench(*command, "--out", tmp_path / "runs", "--json").stdout)

    assert "minutes  LaMP-3 rag-bm25, swapped profiles" in screen.stdout
    assert "estimate: about 1 minute on this machine, 3.0 GB of memory" in screen.stdout
    assert numbers["calls"] == 8 and numbers["minutes"] > 0
    assert [part["name"] for part in numbers["parts"]] == ["LaMP-3 rag-bm25", "LaMP-3 rag-bm25, swapped profiles"]


def test_a_sample_measures_all_kinds_of_work(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = TransformersModel(tiny_checkpoint)

    speed = measure_speed(model, trains=True)

    assert all(0 < value < float("inf") for value in (speed.read, speed.written, speed.sampled, speed.trained))
    assert speed.peak_memory > 10_000_000
    assert capsys.readouterr().err == "estimate: measures tiny on this machine, some seconds\n"


@pytest.mark.parametrize(("minutes", "text"), [(0.2, "1 minute"), (12.4, "12 minutes"), (150, "2.5 hours")])
def test_times_are_written_as_people_say_them(minutes: float, text: str) -> None:
    assert format_minutes(minutes) == text
    assert list(Hours((TimedWork("a", minutes),), minutes).describe())[-1].endswith(f"{text} on this machine")
