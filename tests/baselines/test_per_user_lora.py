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
from odd_profiles import make_odd_examples
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

    def get_drafts(self, task: Any, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        raise AssertionError("no draft is needed")


def fit_context(folder: Path) -> FitContext:
    unused: Any = Unused()
    return FitContext(ScriptedModel(str), unused, unused, 0, folder / "work")


def predict_context(folder: Path) -> PredictContext:
    unused: Any = Unused()
    return PredictContext(ScriptedModel(str), unused, unused, 0, folder / "users")


@pytest.fixture(scope="module")
def fit_folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a fit on LaMP-2 and LaMP-7 saved."""
    folder = tmp_path_factory.mktemp("fitted")
    method_class: Any = get_method("per-user-lora")
    method = method_class(method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", **LEARNS))

    train = {get_task(name): list(generate(name, "train", 4).labelled) for name in ("LaMP-2", "LaMP-7")}
    method.fit(train, fit_context(folder))

    (folder / "saved").mkdir()
    method.save(folder / "saved")
    return folder / "saved"


def load_method(fit_folder: Path, tiny_checkpoint: Path, **config: Any) -> Any:
    method_class: Any = get_method("per-user-lora")
    knobs = {"max_new_tokens": 8, **LEARNS, **config}
    return method_class.load(fit_folder, method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", **knobs))


def predict(method: Any, task: str, examples: Sequence[Example], folder: Path) -> list[Prediction]:
    return list(method.predict(get_task(task), examples, predict_context(folder)))


def raws(predictions: Sequence[Prediction]) -> list[str]:
    return [prediction.raw for prediction in predictions]


def dev_examples(task: str, count: int) -> list[Example]:
    return [labelled.example for labelled in generate(task, "dev", count).labelled]


@pytest.mark.parametrize("task", ["LaMP-1", "LaMP-2", "LaMP-4"])
def test_it_does_what_every_method_owes(task: str, fit_folder: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    examples = make_odd_examples(task)

    first = predict(load_method(fit_folder, tiny_checkpoint), task, examples, tmp_path / "a")
    second = predict(load_method(fit_folder, tiny_checkpoint), task, examples, tmp_path / "b")

    assert [prediction.example_id for prediction in first] == [example.id for example in examples]
    assert [(p.text, p.raw) for p in first] == [(p.text, p.raw) for p in second]
    assert len([*(tmp_path / "a" / "users").glob("*/adapter_model.safetensors")]) == 3, "nobody's adapter is none"
    assert not [*(tmp_path / "a").rglob("*.bin")] and not [*(tmp_path / "a").rglob("*.pt")]


def test_swapped_profiles_change_answers_and_train_no_adapter(
    fit_folder: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    examples = dev_examples("LaMP-7", 4)
    method = load_method(fit_folder, tiny_checkpoint)
    predictions = predict(method, "LaMP-7", examples, tmp_path)
    files = sorted((tmp_path / "users").glob("*/*"))

    swapped_predictions = predict(method, "LaMP-7", swap_profiles(examples, seed=0), tmp_path)

    assert raws(predictions) != raws(swapped_predictions)
    assert sorted((tmp_path / "users").glob("*/*")) == files


def test_a_finished_user_is_not_trained_again_after_a_kill(
    fit_folder: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = dev_examples("LaMP-7", 2)
    before = predict(load_method(fit_folder, tiny_checkpoint), "LaMP-7", examples, tmp_path)

    monkeypatch.setattr(UserAdapters, "_train", None)
    after = predict(load_method(fit_folder, tiny_checkpoint), "LaMP-7", examples, tmp_path)

    assert raws(after) == raws(before)
    with pytest.raises(TypeError):
        predict(load_method(fit_folder, tiny_checkpoint, user_epochs=3), "LaMP-7", examples, tmp_path)


def test_a_user_without_history_gets_the_shared_answer(fit_folder: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    without_history, with_history = dev_examples("LaMP-7", 2)
    without_history = replace(without_history, profile=())
    method_class: Any = get_method("sft-generic")
    config = method_class.Config(reflection_model=f"hf:{tiny_checkpoint}", lora_rank=2, max_new_tokens=8)
    shared_method = method_class.load(fit_folder, config)

    (shared_prediction,) = predict(shared_method, "LaMP-7", [without_history], tmp_path)
    method = load_method(fit_folder, tiny_checkpoint)
    predictions = predict(method, "LaMP-7", [with_history, without_history], tmp_path)

    assert predictions[1].raw == shared_prediction.raw


def make_lessons(*words: str) -> list[tuple[tuple[Message, ...], str]]:
    return [((Message("user", f"say {word}"),), word) for word in words]


def make_adapters(checkpoint: Path, folder: Path, memory_mb: int) -> tuple[TransformersModel, UserAdapters]:
    model = TransformersModel(checkpoint)
    return model, UserAdapters(model, AdapterTraining(2, 20, 0.05, 2, 0), folder, memory_mb=memory_mb)


def test_an_adapter_learns_its_lessons(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model, users = make_adapters(tiny_checkpoint, tmp_path, 1)
    lessons = make_lessons("kettle", "bridge")

    def loss() -> float:
        return -sum(model.loglikelihood([chat for chat, _ in lessons], [answer for _, answer in lessons]))

    untrained_loss = loss()

    users.use(lessons)
    assert loss() < untrained_loss - 1

    users.use([])
    assert loss() == untrained_loss


def test_the_least_used_adapter_leaves_memory_and_comes_back(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model, users = make_adapters(tiny_checkpoint, tmp_path, 0)
    chats = [chat for chat, _ in make_lessons("kettle")]

    likelihoods = {}
    for word in ("kettle", "bridge", "tweet"):
        users.use(make_lessons(word))
        likelihoods[word] = model.loglikelihood(chats, ["kettle"])
        assert len(users.resident) == 1, "the budget holds none beside the one in use"
    assert len(list(tmp_path.glob("*/adapter_model.safetensors"))) == 3

    users.use(make_lessons("kettle"))
    assert model.loglikelihood(chats, ["kettle"]) == likelihoods["kettle"]

    _, roomy_users = make_adapters(tiny_checkpoint, tmp_path, 1)
    for word in ("kettle", "bridge", "kettle", "tweet"):
        roomy_users.use(make_lessons(word))
    assert len(roomy_users.resident) == 3


def test_several_processes_are_told_to_predict_with_one(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(RpobenchError, match="without a launcher"):
        make_adapters(tiny_checkpoint, tmp_path, 1)


@pytest.mark.parametrize("name", TASKS)
def test_items_make_pairs_without_the_answer_in_the_input(name: str) -> None:
    task = get_task(name)
    if name == "LaMP-2N":
        items = [ProfileItem("1", {"text": "a bridge", "title": "t", "category": "sports"})]
    else:
        items = [item for example in dev_examples(name, 3) for item in example.profile]

    for item in items:
        pair = task.pair(item)
        assert pair
        input_text, answer = pair
        assert answer and (task.labels or answer not in input_text)
        if name not in ("LaMP-1", "LaMP-7"):
            assert input_text.startswith(task.instruction) and answer == item.fields[task.answer_field]


def test_a_run_and_its_control_share_users_and_one_fit(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: ScriptedModel(str))
    settings = {"reflection_model": f"hf:{tiny_checkpoint}", "max_new_tokens": 8, **LEARNS}
    options: dict[str, Any] = {"method": "per-user-lora", "task": "LaMP-7", "limit": 3, "out": tmp_path / "runs"}

    (first,) = run(make_plan(**options, settings=settings))
    assert first.references.swapped is not None
    users = tmp_path / "runs" / "users"
    assert len(list(users.rglob("adapter_model.safetensors"))) == 3

    monkeypatch.setattr(get_method("per-user-lora"), "fit", None)
    (second,) = run(make_plan(**options, adapter=first.run, settings={"user_epochs": 4.0}))
    assert second.run != first.run and len(list(users.rglob("adapter_model.safetensors"))) == 6


@pytest.mark.slow
def test_the_command_runs_to_its_end_with_the_real_model(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from rpobench.cli.main import main; main()", "run", "--method", "per-user-lora"),
        *("--task", "LaMP-2,LaMP-7", "--limit", "4", "--out", str(tmp_path), "--json"),
    ]

    runs = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    assert [(summary["task"], summary["n"]) for summary in runs] == [("LaMP-2", 4), ("LaMP-7", 4)]
    assert len(list((tmp_path / "users").rglob("adapter_model.safetensors"))) == 8


@pytest.mark.slow
def test_killed_between_users_it_keeps_the_finished_ones(tiny_checkpoint: Path, tmp_path: Path) -> None:
    settings = {"reflection_model": f"hf:{tiny_checkpoint}", "max_new_tokens": 8, **LEARNS, "user_epochs": 20}
    settings_arguments = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [
        *(sys.executable, "-m", "rpobench", "run", "--method", "per-user-lora", "--task", "LaMP-7", "--limit", "4"),
        *("--base-model", "scripted:echo", "--no-swap", "--json", *settings_arguments, "--out"),
    ]
    undisturbed = run_command([*command, str(tmp_path / "a")])

    users = tmp_path / "b" / "users"
    with subprocess.Popen([*command, str(tmp_path / "b")], stdout=subprocess.DEVNULL) as process:
        while not (finished := finished_adapters(users)):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    times_before = {path: path.stat().st_mtime_ns for path in finished}
    resumed = run_command([*command, str(tmp_path / "b")])

    assert times_before and {path: path.stat().st_mtime_ns for path in finished} == times_before
    assert [{**summary, "seconds": 0} for summary in resumed] == [{**summary, "seconds": 0} for summary in undisturbed]
    assert len(list(users.rglob("adapter_model.safetensors"))) == 4


def run_command(command: list[str]) -> list[dict[str, Any]]:
    summaries: list[dict[str, Any]] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return summaries


def finished_adapters(users: Path) -> list[Path]:
    """Those that stand in a user's own folder, not in one that is being filled."""
    return [file for file in users.rglob("adapter_model.safetensors") if not file.parent.suffix]
