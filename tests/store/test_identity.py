"""What a fit and a run are named by: other weights or other prompts are another one, and options are honoured."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import rpobench
from rpobench import get_task
from rpobench.method.contract import prompts_digest
from rpobench.rpo.method import RPO
from rpobench.rpo.reflection_model import reflection_checkpoint
from rpobench.runs.plan import configure_methods, make_plan
from rpobench.store.files import read_json
from rpobench.store.identity import digest
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


def copy_with_other_weights(tiny: Path, folder: Path) -> Path:
    shutil.copytree(tiny, folder)

    (file,) = folder.glob("*.safetensors")
    save_file({name: tensor + 0.01 for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    return folder


def test_other_weights_under_the_same_name_are_another_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    twin = copy_with_other_weights(tiny_checkpoint, tmp_path / tiny_checkpoint.name)

    models = RPO(RPO.Config(reflection_model=f"hf:{tiny_checkpoint}")).models()
    twin_models = RPO(RPO.Config(reflection_model=f"hf:{twin}")).models()

    assert models != twin_models
    assert set(models) == {"reflection"}


def test_a_run_holds_the_models_and_prompts_of_its_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.baselines.zero_shot.ZeroShot.models", lambda self: {"judge": "m@1"})
    monkeypatch.setattr("rpobench.baselines.zero_shot.ZeroShot.prompts", lambda self, tasks: "asks")
    options = {"task": "LaMP-3", "base_model": "scripted:echo", "limit": 2, "out": tmp_path / "runs"}

    (summary,) = rpobench.run("zero-shot", **options)

    spec = read_json(tmp_path / "runs" / summary["run"] / "spec.json")
    assert spec["models"] == {"judge": "m@1"}
    assert spec["prompts"] == digest("asks")
    assert spec["recorded_prompts"] == hashlib.sha256(b"asks").hexdigest()[:12]

    monkeypatch.setattr("rpobench.baselines.zero_shot.ZeroShot.prompts", lambda self, tasks: "asks otherwise")
    assert rpobench.run("zero-shot", **options)[0]["run"] != summary["run"]


def test_the_words_of_the_module_are_part_of_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    (method,) = configure_methods(make_plan(method="rpo", task="LaMP-3"))
    tasks: Sequence[Task] = [get_task(f"LaMP-{number}") for number in (1, 2, 3, 4, 5, 6, 7, "2N")]
    digests = {task: prompts_digest(method, [task]) for task in tasks}
    assert digests == {task: prompts_digest(method, [task]) for task in tasks}
    assert len(set(digests.values())) > 1

    monkeypatch.setattr("rpobench.rpo.form.LACKS", "Draft misses:")

    for task in tasks:
        assert prompts_digest(method, [task]) != digests[task]


@pytest.mark.parametrize("option", ["dtype=bfloat16", "device=cpu", "adapter=x"])
def test_options_that_training_cannot_honour_are_refused(tiny_checkpoint: Path, option: str) -> None:
    assert reflection_checkpoint(f"hf:{tiny_checkpoint}") == tiny_checkpoint

    adapter = option.replace("=x", f"={tiny_checkpoint}")
    with pytest.raises(RpobenchError, match=r"training honours no options|adapter_config"):
        reflection_checkpoint(f"hf:{tiny_checkpoint}?{adapter}")
