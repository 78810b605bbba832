"""Every `--set` switch of RPO moves training rows, a loss, the adapter or the answer: here those of training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixed_sources import FixedDrafts
from safetensors.torch import load_file, save_file
from training_jobs import ADAPTER_FILE, demonstrate, make_rows, run_grpo, run_sft

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
from rpobench.rpo.training.job import TrainingData
from rpobench.types import RpobenchError

FORM = Form()
FOUR_TWEETS = TrainingData(demonstrate(make_rows(4)))

# Each knob with a value that must change something; what is fixed beside it is `SMALL` and `SMALL_GRPO`.
EVIDENCE_KNOBS = {"k": 1, "retriever": "recency", "max_prompt_tokens": 60, "max_evidence_tokens": 10}
SFT_KNOBS = {"lora_rank": 4, "sft_epochs": 2, "sft_learning_rate": 1e-2, "sft_batch": 3}
GRPO_KNOBS = {"rl_steps": 2, "rl_group": 4, "rl_prompts": 2, "rl_learning_rate": 1e-3, "rl_beta": 5.0,
              "max_new_tokens": 4, "curriculum": "reverse"}  # fmt: skip
SMALL = {"k": 2, "lora_rank": 2, "sft_epochs": 1, "rl": "none", "validation": 0}
SMALL_GRPO = {"k": 4, "lora_rank": 2, "rl": "grpo", "rl_steps": 3, "rl_group": 2, "rl_prompts": 1, "max_new_tokens": 8,
              "rl_learning_rate": 1e-2}  # fmt: skip

# The other knobs, with the test that changes them.
OTHER_TESTS = {
    "reflection_model": "test_the_reflection_model_is_a_switch",
    "scope": "test_an_adapter_for_two_tasks_is_not_that_of_the_first",
    "validation": "test_each_rival_and_each_missing_part_learns_other_rows",
    "evidence": "test_each_rival_and_each_missing_part_learns_other_rows",
    "draft": "test_each_rival_and_each_missing_part_learns_other_rows",
    "analysis": "test_each_rival_and_each_missing_part_learns_other_rows",
    "patience": "test_sft_stops_early_and_keeps_the_best_on_held_out_rows",
    "rl": "test_dpo_starts_from_stage_one_and_ends_elsewhere",
    "rl_vllm": "test_vllm_and_reports_are_passed_through",
    "report_to": "test_vllm_and_reports_are_passed_through",
    "writer": "test_each_teacher_writes_other_trajectories_than_rules",
    "teacher": "test_each_teacher_writes_other_trajectories_than_rules",
    "trajectories": "test_an_exported_file_trains_the_same_and_an_edit_another",
    "n": "test_consensus_takes_the_text_most_like_the_others",
    "select": "test_likelihood_takes_the_likeliest_text_and_reads_all",
    "gate": "test_the_gate_keeps_a_draft_that_is_likelier_by_the_margin",
}


def test_no_switch_is_without_a_test() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.rglob("test_*.py"))

    assert {*EVIDENCE_KNOBS, *SFT_KNOBS, *GRPO_KNOBS, *OTHER_TESTS} == RPOConfig.model_fields.keys()
    assert [name for name in OTHER_TESTS.values() if f"def {name}(" not in tests] == []


@dataclass(frozen=True)
class Learned:
    """What a fit learned from, line by line, and the adapter that came of it."""

    trajectories: str
    adapter: bytes


def learn(checkpoint: Path, folder: Path, tasks: Sequence[str] = ("LaMP-7",), **knobs: Any) -> Learned:
    """Train stage 1 on six users a task with real evidence."""
    module = RPO(RPOConfig(**{**SMALL, "reflection_model": f"hf:{checkpoint}", **knobs}))
    evidence = RankedEvidence(get_retriever, lambda: ReferenceTokenizer(checkpoint / "tokenizer.json"), seed=0)
    context = FitContext(ScriptedModel(str), FixedDrafts(), evidence, seed=0, folder=folder / "work")  # type: ignore[arg-type]

    module.fit({get_task(name): generate(name, "train", 6).labelled for name in tasks}, context)

    saved = folder / "saved"
    saved.mkdir(parents=True)
    module.save(saved)
    return Learned((saved / "trajectories.jsonl").read_text(), (saved / "adapter" / ADAPTER_FILE).read_bytes())


@pytest.fixture(scope="module")
def usual(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    return learn(tiny_checkpoint, tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("knob", EVIDENCE_KNOBS)
def test_a_switch_of_evidence_moves_the_rows(knob: str, usual: Learned, tiny_checkpoint: Path, tmp_path: Path) -> None:
    changed = learn(tiny_checkpoint, tmp_path, **{knob: EVIDENCE_KNOBS[knob]})

    assert changed.adapter != usual.adapter


@pytest.mark.parametrize("knob", SFT_KNOBS)
def test_a_switch_of_stage_1_moves_the_adapter_and_no_row(
    knob: str, usual: Learned, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    changed = learn(tiny_checkpoint, tmp_path, **{knob: SFT_KNOBS[knob]})

    assert changed.trajectories == usual.trajectories and changed.adapter != usual.adapter


def test_an_adapter_for_two_tasks_is_not_that_of_the_first(
    usual: Learned, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    names = ["LaMP-7", "LaMP-3"]
    groups = {scope: RPO(RPOConfig(scope=scope)).fit_groups(names) for scope in ("task", "shared")}
    assert groups == {"task": [("LaMP-7",), ("LaMP-3",)], "shared": [("LaMP-7", "LaMP-3")]}

    shared = learn(tiny_checkpoint, tmp_path, names, scope="shared")

    assert shared.trajectories.startswith(usual.trajectories) and len(shared.trajectories.splitlines()) == 12
    assert shared.adapter != usual.adapter


def scripted_teacher(word: str) -> ScriptedModel:
    """A teacher that says one word in each line."""
    return ScriptedModel(lambda chat: FORM.render(Trajectory(word, word, word)))


def test_each_teacher_writes_other_trajectories_than_rules(
    usual: Learned, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers = {"t:red": scripted_teacher("red"), "t:blue": scripted_teacher("blue")}
    monkeypatch.setattr("rpobench.rpo.writers.get_model", teachers.__getitem__)

    by_teacher = [learn(tiny_checkpoint, tmp_path / name, writer="teacher", teacher=name) for name in teachers]

    assert len({usual, *by_teacher}) == 3
    assert len({learned.adapter for learned in (usual, *by_teacher)}) == 3
    assert all('"shows": "red"' in line for line in by_teacher[0].trajectories.splitlines())


def test_the_reflection_model_is_a_switch(tmp_path: Path, tiny_checkpoint: Path, usual: Learned) -> None:
    other_checkpoint = save_scaled_model(tiny_checkpoint, tmp_path / "other")

    changed = learn(other_checkpoint, tmp_path)

    assert changed.trajectories == usual.trajectories and changed.adapter != usual.adapter


def save_scaled_model(checkpoint: Path, folder: Path) -> Path:
    """The tiny model with every weight a little larger."""
    shutil.copytree(checkpoint, folder)
    weights = {name: weight * 1.1 for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refine(checkpoint: Path, sft_adapter: Path, folder: Path, **knobs: Any) -> bytes:
    """The adapter after GRPO."""
    adapter = run_grpo(checkpoint, folder, FOUR_TWEETS, sft_adapter, **{**SMALL_GRPO, **knobs})
    return (adapter / ADAPTER_FILE).read_bytes()


@pytest.fixture(scope="module")
def sft_adapter(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sft(tiny_checkpoint, tmp_path_factory.mktemp("sft"), FOUR_TWEETS, lora_rank=2, sft_epochs=1)


@pytest.fixture(scope="module")
def varying_reward() -> Iterator[None]:
    """A reward that differs within each group: the position of a completion in it."""

    def reward_by_position(completions: list[Any], **_: Any) -> list[float]:
        return [float(position) for position in range(len(completions))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rpobench.rpo.training.grpo.make_reward", lambda tasks, form: reward_by_position)
        yield


@pytest.fixture(scope="module")
def usual_refinement(
    varying_reward: None, sft_adapter: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    first = refine(tiny_checkpoint, sft_adapter, tmp_path_factory.mktemp("first"))
    second = refine(tiny_checkpoint, sft_adapter, tmp_path_factory.mktemp("second"))

    assert second == first
    return first


@pytest.mark.parametrize("knob", GRPO_KNOBS)
def test_a_switch_of_stage_2_moves_the_adapter(
    knob: str, usual_refinement: bytes, sft_adapter: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    changed = refine(tiny_checkpoint, sft_adapter, tmp_path, **{knob: GRPO_KNOBS[knob]})

    assert changed != usual_refinement


def test_a_report_without_its_package_is_refused_at_once(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.rpo.training.arguments.get_available_reporting_integrations", lambda: ["wandb"])
    monkeypatch.setattr(FixedDrafts, "get_drafts", lambda *_: pytest.fail("drafted first"))

    with pytest.raises(RpobenchError, match="report_to=tensorboard: not one of none, wandb, or its package is not"):
        learn(tiny_checkpoint, tmp_path, report_to="tensorboard")
