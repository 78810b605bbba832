"""One adapter a user, on a tiny random model: what it learns from, what is kept, and how many are in memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rpobench.baselines.per_user_lora.config import AdapterTraining
from rpobench.baselines.per_user_lora.lora import UserAdapters

from rpobench import get_method, get_task
from rpobench.data.synth.world import generate
from rpobench.method.context import FitContext, PredictContext
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.types import Example, Message, Prediction, ProfileItem, RpobenchError

TASKS = ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4", "LaMP-5", "LaMP-6", "LaMP-7", "LaMP-2N")
LEARNS = {"lora_rank": 2, "sft_epochs": 1, "validation": 0, "user_rank": 2, "user_learning_rate": 0.05, "user_items": 6}


class Unused:
    """Neither drafts nor evidence are asked for."""

    def drafts(self, task: Any, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        raise AssertionError("no draft is needed")


def fit_context(folder: Path) -> FitContext:
    unused: Any = Unused()
    return FitContext(ScriptedModel(str), unused, unused, 0, folder / "work")


def predict_context(folder: Path) -> PredictContext:
    unused: Any = Unused()
    return PredictContext(ScriptedModel(str), unused, unused, 0, folder / "users")


@pytest.fixture(scope="module")
def fitted(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a fit on LaMP-2 and LaMP-7 saved."""
    folder = tmp_path_factory.mktemp("fitted")
    method_class: Any = get_method("per-user-lora")
    method = method_class(method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", **LEARNS))
    train = {get_task(name): list(generate(name, "train", 4).labelled) for name in ("LaMP-2", "LaMP-7")}
    method.fit(train, fit_context(folder))
    (folder / "saved").mkdir()
    method.save(folder / "saved")
    return folder / "saved"


def loaded(fitted: Path, tiny_checkpoint: Path, **config: Any) -> Any:
    method_class: Any = get_method("per-user-lora")
    return method_class.load(
        fitted, method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", max_new_tokens=8, **{**LEARNS, **config})
    )


def answers(method: Any, task: str, asked: Sequence[Example], folder: Path) -> list[Prediction]:
    return list(method.predict(get_task(task), asked, predict_context(folder)))


def odd_examples(task: str) -> list[Example]:
    """An empty profile, one item, the usual, and 500 items."""
    empty, single, usual, huge = (one.example for one in generate(task, "dev", 4).labelled)
    many = tuple(replace(huge.profile[place % len(huge.profile)], id=f"i{place}") for place in range(500))
    return [replace(empty, profile=()), replace(single, profile=single.profile[:1]), usual, replace(huge, profile=many)]


@pytest.mark.parametrize("task", ["LaMP-1", "LaMP-2", "LaMP-4"])
def test_it_does_what_every_method_owes(task: str, fitted: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    asked = odd_examples(task)
    first = answers(loaded(fitted, tiny_checkpoint), task, asked, tmp_path / "a")
    again = answers(loaded(fitted, tiny_checkpoint), task, asked, tmp_path / "b")
    assert [one.example_id for one in first] == [one.id for one in asked]
    assert [(one.text, one.raw) for one in first] == [(one.text, one.raw) for one in again]
    assert len([*(tmp_path / "a" / "users").glob("*/adapter_model.safetensors")]) == 3, "nobody's adapter is none"
    assert not [*(tmp_path / "a").rglob("*.bin")] and not [*(tmp_path / "a").rglob("*.pt")]


def test_swapped_profiles_change_answers_and_train_no_new_adapter(
    fitted: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    own = [one.example for one in generate("LaMP-7", "dev", 4).labelled]
    method = loaded(fitted, tiny_checkpoint)
    first = answers(method, "LaMP-7", own, tmp_path)
    kept = sorted((tmp_path / "users").glob("*/*"))
    control = answers(method, "LaMP-7", swap_profiles(own, seed=0), tmp_path)
    assert [one.raw for one in first] != [one.raw for one in control]
    assert sorted((tmp_path / "users").glob("*/*")) == kept


def test_a_finished_user_is_not_trained_again_after_a_kill(
    fitted: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [one.example for one in generate("LaMP-7", "dev", 2).labelled]
    expected = answers(loaded(fitted, tiny_checkpoint), "LaMP-7", own, tmp_path)
    monkeypatch.setattr(UserAdapters, "_train", None)
    found = answers(loaded(fitted, tiny_checkpoint), "LaMP-7", own, tmp_path)
    assert [one.raw for one in found] == [one.raw for one in expected]
    with pytest.raises(TypeError):
        answers(loaded(fitted, tiny_checkpoint, user_epochs=3), "LaMP-7", own, tmp_path)


def test_a_user_without_history_is_answered_as_the_shared_adapter_answers(
    fitted: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    nobody, somebody = (one.example for one in generate("LaMP-7", "dev", 2).labelled)
    nobody = replace(nobody, profile=())
    method_class: Any = get_method("sft-generic")
    shared = method_class.load(
        fitted, method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", lora_rank=2, max_new_tokens=8)
    )
    (expected,) = answers(shared, "LaMP-7", [nobody], tmp_path)
    found = answers(loaded(fitted, tiny_checkpoint), "LaMP-7", [somebody, nobody], tmp_path)
    assert found[1].raw == expected.raw


def lessons(*words: str) -> list[tuple[tuple[Message, ...], str]]:
    return [((Message("user", f"say {word}"),), word) for word in words]


def adapters(checkpoint: Path, folder: Path, memory_mb: int) -> tuple[TransformersModel, UserAdapters]:
    model = TransformersModel(checkpoint)
    return model, UserAdapters(model, AdapterTraining(2, 20, 0.05, 2, 0), folder, memory_mb=memory_mb)


def test_an_adapter_learns_its_lessons(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model, users = adapters(tiny_checkpoint, tmp_path, 1)
    taught = lessons("kettle", "bridge")

    def loss() -> float:
        return -sum(model.loglikelihood([chat for chat, _ in taught], [answer for _, answer in taught]))

    before = loss()
    users.use(taught)
    assert loss() < before - 1
    users.use([])
    assert loss() == before


def test_the_least_used_adapter_leaves_memory_and_comes_back_from_disk(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model, users = adapters(tiny_checkpoint, tmp_path, 0)
    asked = lessons("kettle")
    found = {}
    for word in ("kettle", "bridge", "tweet"):
        users.use(lessons(word))
        found[word] = model.loglikelihood([chat for chat, _ in asked], ["kettle"])
        assert len(users.resident) == 1, "the budget holds none beside the one in use"
    assert len(list(tmp_path.glob("*/adapter_model.safetensors"))) == 3
    users.use(lessons("kettle"))
    assert model.loglikelihood([chat for chat, _ in asked], ["kettle"]) == found["kettle"]
    _, roomy = adapters(tiny_checkpoint, tmp_path, 1)
    for word in ("kettle", "bridge", "kettle", "tweet"):
        roomy.use(lessons(word))
    assert len(roomy.resident) == 3


def test_a_launch_of_several_processes_is_told_to_predict_with_one(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RpobenchError, match="without a launcher"):
        adapters(tiny_checkpoint, tmp_path, 1)


@pytest.mark.parametrize("name", TASKS)
def test_every_tasks_items_make_pairs_without_the_answer_in_the_input(name: str) -> None:
    task = get_task(name)
    if name == "LaMP-2N":
        items = [ProfileItem("1", {"text": "a bridge", "title": "t", "category": "sports"})]
    else:
        items = [item for one in generate(name, "dev", 3).labelled for item in one.example.profile]
    for item in items:
        made = task.pair(item)
        assert made and made[1] and (task.labels or made[1] not in made[0])
        if name not in ("LaMP-1", "LaMP-7"):
            assert made[0].startswith(task.instruction) and made[1] == item.fields[task.answer_field]


def test_a_run_and_its_control_share_users_and_user_knobs_need_no_other_fit(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: ScriptedModel(str))
    settings = {"reflection_model": f"hf:{tiny_checkpoint}", "max_new_tokens": 8, **LEARNS}
    options: dict[str, Any] = {"method": "per-user-lora", "task": "LaMP-7", "limit": 3, "out": tmp_path / "runs"}
    (first,) = run(make_plan(**options, settings=settings))
    assert first.references.swapped is not None
    users = tmp_path / "runs" / "users"
    assert len(list(users.glob("*/adapter_model.safetensors"))) == 3
    monkeypatch.setattr(get_method("per-user-lora"), "fit", None)
    (more,) = run(make_plan(**options, adapter=first.run, settings={"user_epochs": 4.0}))
    assert more.run != first.run and len(list(users.glob("*/adapter_model.safetensors"))) == 6


@pytest.mark.slow
def test_the_command_runs_to_its_end_with_the_real_model(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from rpobench.cli.main import main; main()", "run", "--method", "per-user-lora"),
        *("--task", "LaMP-2,LaMP-7", "--limit", "4", "--out", str(tmp_path), "--json"),
    ]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert [(one["task"], one["n"]) for one in found] == [("LaMP-2", 4), ("LaMP-7", 4)]
    assert len(list((tmp_path / "users").glob("*/adapter_model.safetensors"))) == 8


@pytest.mark.slow
def test_killed_between_users_it_keeps_those_that_were_done(tiny_checkpoint: Path, tmp_path: Path) -> None:
    settings = {"reflection_model": f"hf:{tiny_checkpoint}", "max_new_tokens": 8, **LEARNS, "user_epochs": 20}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [
        *(sys.executable, "-m", "rpobench", "run", "--method", "per-user-lora", "--task", "LaMP-7", "--limit", "4"),
        *("--base-model", "scripted:echo", "--no-swap", "--json", *sets, "--out"),
    ]
    whole = json.loads(subprocess.run([*command, str(tmp_path / "a")], stdout=subprocess.PIPE, check=True).stdout)
    users = tmp_path / "b" / "users"
    with subprocess.Popen([*command, str(tmp_path / "b")], stdout=subprocess.DEVNULL) as dying:
        while not (done := [file for file in users.glob("*/adapter_model.safetensors") if not file.parent.suffix]):
            assert dying.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        dying.send_signal(signal.SIGKILL)
    made = {path: path.stat().st_mtime_ns for path in done}
    again = json.loads(subprocess.run([*command, str(tmp_path / "b")], stdout=subprocess.PIPE, check=True).stdout)
    assert made and {path: path.stat().st_mtime_ns for path in done} == made
    assert [{**one, "seconds": 0} for one in again] == [{**one, "seconds": 0} for one in whole]
    assert len(list(users.glob("*/adapter_model.safetensors"))) == 4
