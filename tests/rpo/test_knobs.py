"""Every `--set` switch of RPO moves training rows, a loss, the adapter or the answer: here those of training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fixed_sources import FixedDrafts
from safetensors.torch import load_file, save_file
from training_jobs import demonstrate, make_job, make_rows

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.reference_tokenizer import ReferenceTokenizer
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import FitContext
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_retriever
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.rpo.training.grpo import train_grpo
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.sft import train_sft
from rpobench.rpo.training.stage import run_stage
from rpobench.types import RpobenchError

FORM, WEIGHTS = Form(), "adapter_model.safetensors"
DATA = TrainingData(demonstrate(make_rows(4, get_task("LaMP-7"))))
SMALL = {"k": 2, "lora_rank": 2, "sft_epochs": 1, "rl": "none", "validation": 0}
ROWS = {"k": 1, "retriever": "recency", "max_prompt_tokens": 60, "max_evidence_tokens": 10}
STAGE_1 = {"lora_rank": 4, "sft_epochs": 2, "sft_learning_rate": 1e-2, "sft_batch": 3}
STAGE_2 = {"rl_steps": 2, "rl_group": 4, "rl_prompts": 2, "rl_learning_rate": 1e-3, "rl_beta": 5.0,
           "max_new_tokens": 4, "curriculum": "reverse"}  # fmt: skip
ELSEWHERE = {  # where another file's test moves a switch
    "reflection_model": "test_the_reflection_model_is_a_switch",
    "scope": "test_an_adapter_for_two_tasks_is_another_than_one_for_the_first",
    "validation": "test_each_rival_and_each_missing_part_learns_other_rows",
    "evidence": "test_each_rival_and_each_missing_part_learns_other_rows",
    "draft": "test_each_rival_and_each_missing_part_learns_other_rows",
    "analysis": "test_each_rival_and_each_missing_part_learns_other_rows",
    "patience": "test_sft_stops_early_and_keeps_the_best_on_held_out_rows",
    "rl": "test_dpo_starts_from_stage_one_and_ends_elsewhere",
    "rl_vllm": "test_vllm_and_reports_are_passed_through",
    "report_to": "test_vllm_and_reports_are_passed_through",
    "writer": "test_a_teacher_writes_other_trajectories_than_the_rules_and_than_another_teacher",
    "teacher": "test_a_teacher_writes_other_trajectories_than_the_rules_and_than_another_teacher",
    "trajectories": "test_an_exported_file_trains_the_same_and_an_edit_another",
    "n": "test_consensus_takes_the_text_most_like_the_others",
    "select": "test_consensus_takes_the_text_most_like_the_others",
    "gate": "test_the_gate_keeps_a_draft_that_is_likelier_by_the_margin",
}


def test_no_switch_is_without_a_test() -> None:
    assert {*ROWS, *STAGE_1, *STAGE_2, *ELSEWHERE} == RPOConfig.model_fields.keys()
    written = "".join(file.read_text() for file in Path(__file__).parent.rglob("test_*.py"))
    assert [test for test in ELSEWHERE.values() if f"def {test}(" not in written] == []


def fitted(checkpoint: Path, folder: Path, tasks: Sequence[str] = ("LaMP-7",), **changes: Any) -> tuple[str, bytes]:
    """The trajectories and the adapter of stage 1 on six users a task with real evidence."""
    made = RPO(RPOConfig(**{**SMALL, "reflection_model": f"hf:{checkpoint}", **changes}))
    evidence = RankedEvidence(get_retriever, lambda: ReferenceTokenizer(checkpoint / "tokenizer.json"), seed=0)
    context = FitContext(ScriptedModel(str), FixedDrafts(), evidence, seed=0, folder=folder / "work")  # type: ignore[arg-type]
    made.fit({get_task(name): generate(name, "train", 6).labelled for name in tasks}, context)
    (folder / "saved").mkdir(parents=True)
    made.save(folder / "saved")
    return (folder / "saved" / "trajectories.jsonl").read_text(), (folder / "saved" / "adapter" / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def usual(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    return fitted(tiny_checkpoint, tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("name", ROWS)
def test_a_switch_of_evidence_moves_the_rows(
    name: str, usual: tuple[str, bytes], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    _, adapter = fitted(tiny_checkpoint, tmp_path, **{name: ROWS[name]})
    assert adapter != usual[1]


@pytest.mark.parametrize("name", STAGE_1)
def test_a_switch_of_stage_1_moves_the_adapter_and_no_row(
    name: str, usual: tuple[str, bytes], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    rows, adapter = fitted(tiny_checkpoint, tmp_path, **{name: STAGE_1[name]})
    assert rows == usual[0] and adapter != usual[1]


def test_an_adapter_for_two_tasks_is_another_than_one_for_the_first(
    usual: tuple[str, bytes], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    names = ["LaMP-7", "LaMP-3"]
    groups = {scope: RPO(RPOConfig(scope=scope)).fit_groups(names) for scope in ("task", "shared")}
    assert groups == {"task": [("LaMP-7",), ("LaMP-3",)], "shared": [("LaMP-7", "LaMP-3")]}
    rows, adapter = fitted(tiny_checkpoint, tmp_path, names, scope="shared")
    assert rows.startswith(usual[0]) and len(rows.splitlines()) == 12 and adapter != usual[1]


def test_a_teacher_writes_other_trajectories_than_the_rules_and_than_another_teacher(
    usual: tuple[str, bytes], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers = {
        f"t:{word}": ScriptedModel(lambda _, w=word: FORM.render(Trajectory(w, w, w))) for word in ("one", "two")
    }
    monkeypatch.setattr("rpobench.rpo.writers.get_model", teachers.__getitem__)
    made = [fitted(tiny_checkpoint, tmp_path / name, writer="teacher", teacher=name) for name in teachers]
    assert len({usual, *made}) == len({adapter for _, adapter in (usual, *made)}) == 3
    assert all('"shows": "one"' in line for line in made[0][0].splitlines())


def test_the_reflection_model_is_a_switch(tmp_path: Path, tiny_checkpoint: Path, usual: tuple[str, bytes]) -> None:
    other = save_other(tiny_checkpoint, tmp_path / "other")
    rows, adapter = fitted(other, tmp_path)
    assert rows == usual[0] and adapter != usual[1]


def save_other(checkpoint: Path, folder: Path) -> Path:
    """The tiny model with every weight a little larger."""
    shutil.copytree(checkpoint, folder)
    weights = {name: weight * 1.1 for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refined(checkpoint: Path, start: Path, folder: Path, **changes: Any) -> bytes:
    """The adapter after stage 2 from `start`."""
    values = {"k": 4, "lora_rank": 2, "rl": "grpo", "rl_steps": 3, "rl_group": 2, "rl_prompts": 1, "max_new_tokens": 8,
              "rl_learning_rate": 1e-2}  # fmt: skip
    job = make_job(checkpoint, folder, **{**values, **changes})
    adapter = run_stage(folder, lambda work: train_grpo(job, DATA, start, work))
    return (adapter / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def start(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = make_job(tiny_checkpoint, tmp_path_factory.mktemp("sft"), lora_rank=2, sft_epochs=1)
    return run_stage(job.folder, lambda work: train_sft(job, DATA, work))


@pytest.fixture(scope="module")
def varied() -> Any:
    """A reward that differs within each group: the place of a completion in it."""

    def by_place(completions: list[Any], **_: Any) -> list[float]:
        return [float(place) for place in range(len(completions))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rpobench.rpo.training.grpo.make_reward", lambda tasks, form: by_place)
        yield


@pytest.fixture(scope="module")
def refined_usually(varied: Any, start: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    first = refined(tiny_checkpoint, start, tmp_path_factory.mktemp("first"))
    assert refined(tiny_checkpoint, start, tmp_path_factory.mktemp("second")) == first
    return first


@pytest.mark.parametrize("name", STAGE_2)
def test_a_switch_of_stage_2_moves_the_adapter(
    name: str, refined_usually: bytes, start: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    assert refined(tiny_checkpoint, start, tmp_path, **{name: STAGE_2[name]}) != refined_usually


def test_a_report_whose_package_is_absent_is_refused_before_anything_is_drafted(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.rpo.training.arguments.get_available_reporting_integrations", lambda: ["wandb"])
    monkeypatch.setattr(FixedDrafts, "get_drafts", lambda *_: pytest.fail("drafted first"))
    with pytest.raises(RpobenchError, match="report_to=tensorboard: not one of none, wandb, or its package is not"):
        fitted(tiny_checkpoint, tmp_path, report_to="tensorboard")
