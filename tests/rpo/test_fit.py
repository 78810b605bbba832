"""RPO and its trained rivals fitted on a tiny random model: each switch moves the rows, the loss or the adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixed_sources import FirstItems, FixedDrafts
from odd_profiles import make_odd_examples

from rpobench import get_method, get_task
from rpobench.data.synth.world import generate
from rpobench.method.context import FitContext, PredictContext
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.trained_module import TrainedModule
from rpobench.rpo.training.sft_data import build_sft_dataset
from rpobench.rpo.training.stages import USAGE
from rpobench.rpo.training_rows import Demonstration
from rpobench.rpo.trajectories.file import read_trajectories
from rpobench.task.contract import Task
from rpobench.types import Labelled

TWEET = get_task("LaMP-7")


def labelled() -> list[Labelled]:
    return list(generate("LaMP-7", "train", 6).labelled)


def fit(
    method: str,
    checkpoint: Path,
    folder: Path,
    train: Mapping[Task, Sequence[Labelled]] | None = None,
    **config: Any,
) -> tuple[TrainedModule, Path]:
    """The method, trained on six users of LaMP-7 unless told otherwise, and the folder it saved."""
    method_class: Any = get_method(method)
    values = {"reflection_model": f"hf:{checkpoint}", "k": 2, "lora_rank": 2, "sft_epochs": 1, "rl": "none",
              "validation": 0, "rl_steps": 1, "rl_group": 2, "rl_prompts": 1, "max_new_tokens": 4}  # fmt: skip
    made = method_class(method_class.Config(**{**values, **config}))
    made.fit(
        train or {TWEET: labelled()},
        FitContext(ScriptedModel(str), FixedDrafts(), FirstItems(), seed=0, folder=folder / "work"),
    )
    (folder / "saved").mkdir(parents=True)
    made.save(folder / "saved")
    return made, folder / "saved"


def adapter(saved: Path) -> bytes:
    return (saved / "adapter" / "adapter_model.safetensors").read_bytes()


def losses(saved: Path, name: str = "loss") -> list[float]:
    lines = (saved / "sft.jsonl").read_text().splitlines()
    return [entry[name] for line in lines if name in (entry := json.loads(line))]


@pytest.mark.parametrize("method", ["rpo", "sft-rag", "sft-rag-analysis", "sft-generic"])
def test_each_trained_module_does_what_every_method_owes(method: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    made, saved = fit(method, tiny_checkpoint, tmp_path, rl="grpo")
    loaded = type(made).load(saved, made.config)
    examples, context = (
        make_odd_examples("LaMP-7"),
        PredictContext(ScriptedModel(str), FixedDrafts(), FirstItems(), 0, Path("unused")),
    )
    other = [replace(one, profile=two.profile) for one, two in zip(examples, reversed(examples), strict=True)]
    first, second, swapped = (
        list(one.predict(TWEET, asked, context)) for one, asked in ((made, examples), (loaded, examples), (made, other))
    )
    assert [one.example_id for one in first] == [one.id for one in examples]
    assert [one.trajectory for one in first] == [one.trajectory for one in second]
    moved = [one.trajectory for one in first] != [one.trajectory for one in swapped]
    assert moved is made.reads_profile
    assert bool(made.retrievers()) is made.reads_profile
    assert (saved / "grpo.jsonl").exists()


def test_each_rival_and_each_part_switched_off_learns_from_other_rows(tiny_checkpoint: Path, tmp_path: Path) -> None:
    runs: list[tuple[str, dict[str, Any]]] = [
        ("rpo", {}), ("rpo", {"analysis": "off"}), ("rpo", {"draft": "off"}), ("rpo", {"evidence": "off"}),
        ("sft-rag", {}), ("sft-rag-analysis", {}), ("sft-generic", {}), ("rpo", {"validation": 0.5}),
    ]  # fmt: skip
    first = []
    for place, (method, changes) in enumerate(runs):
        _, saved = fit(method, tiny_checkpoint, tmp_path / str(place), **changes)
        first.append(losses(saved)[0])
    assert first[2] == first[5], "rpo without a draft is sft-rag-analysis"
    assert len(set(first)) == len(runs) - 1
    assert losses(saved, "eval_loss"), "held-out users were not measured"


def test_a_user_is_either_trained_on_or_held_out(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[set[str]] = []

    def watched(pairs: Sequence[Demonstration], form: Any, **held: Any) -> Any:
        sides.append({pair.row.example.user_id for pair in pairs})
        return build_sft_dataset(pairs, form, **held)

    monkeypatch.setattr("rpobench.rpo.training.sft.build_sft_dataset", watched)
    twice = [Labelled(replace(one.example, id=f"{one.example.id}/{n}"), one.target) for one in labelled() for n in "ab"]
    fit("rpo", tiny_checkpoint, tmp_path, {TWEET: twice}, validation=0.5)
    assert [len(side) for side in sides] == [3, 3] and not sides[0] & sides[1]


def test_an_exported_file_trains_the_same_adapter_and_an_edited_one_another(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    _, saved = fit("rpo", tiny_checkpoint, tmp_path / "a")
    file = saved / "trajectories.jsonl"
    _, again = fit("rpo", tiny_checkpoint, tmp_path / "b", trajectories=str(file))
    assert adapter(again) == adapter(saved)
    edited = tmp_path / "edited.jsonl"
    edited.write_text(file.read_text().replace("words", "syllables"))
    _, other = fit("rpo", tiny_checkpoint, tmp_path / "c", trajectories=str(edited))
    assert adapter(other) != adapter(saved)


def test_a_trajectory_that_contradicts_its_target_teaches_its_analysis_and_no_answer(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task, seen = get_task("LaMP-2"), []

    def watched(pairs: Sequence[Demonstration], form: Any) -> Any:
        seen.append(build_sft_dataset(pairs, form))
        return seen[-1]

    monkeypatch.setattr("rpobench.rpo.training.sft.build_sft_dataset", watched)
    train = list(generate("LaMP-2", "train", 12).labelled)
    fit("rpo", tiny_checkpoint, tmp_path, {task: train}, k=8)
    (learned,) = seen
    assert len(learned) == 12
    stored = read_trajectories(tmp_path / "saved" / "trajectories.jsonl")
    written = {one.example_id: one.trajectory for one in stored}
    for one, row in zip(train, learned, strict=True):
        lacks = written[one.example.id].lacks  # the drafts hold no label, so none begins with "nothing,"
        assert (row["lead"] == "") == (lacks in (f"{one.target} fits", "nothing known")), lacks
        assert row["completion"][0]["content"].startswith(row["lead"])
    silent = sum(map(bool, learned["lead"]))
    assert 0 < silent < 12
    message = f"SFT: {silent} of 12 training trajectories reach a wrong conclusion; only their analysis is trained on"
    assert message in capsys.readouterr().err
    had = {item.fields["tag"] for item in train[0].example.profile}
    against = [replace(train[0], target=next(label for label in task.labels if label not in had))]
    fit("rpo", tiny_checkpoint, tmp_path / "alone", {task: against})
    assert seen[-1]["lead"] == [""], "there is nothing else to learn answers from"


def test_trajectories_are_not_written_again_after_a_kill(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.rpo.training.stages.train_sft", None)
    teacher = {"writer": "teacher", "teacher": "scripted:echo"}
    with pytest.raises(TypeError):
        fit("rpo", tiny_checkpoint, tmp_path, **teacher)
    monkeypatch.undo()
    monkeypatch.setattr("rpobench.rpo.trajectories.teacher.TeacherWriter.write", None)
    made, _ = fit("rpo", tiny_checkpoint, tmp_path, **teacher)
    assert made.fit_usage is not None and made.fit_usage.calls == 2 * 3 * 6, "what the teacher took is not forgotten"


def test_trajectories_of_a_version_that_kept_no_count_are_taken_up(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpobench.rpo.training.stages.train_sft", None)
    with pytest.raises(TypeError):
        fit("rpo", tiny_checkpoint, tmp_path)
    monkeypatch.undo()
    (count,) = tmp_path.rglob(USAGE)
    count.unlink()
    assert fit("rpo", tiny_checkpoint, tmp_path)[0].fit_usage is None


def test_what_a_teacher_costs_is_counted(tiny_checkpoint: Path, tmp_path: Path) -> None:
    made, _ = fit("rpo", tiny_checkpoint, tmp_path, writer="teacher", teacher="scripted:echo")
    assert made.fit_usage is not None
    assert made.fit_usage.calls == 2 * 3 * 6, "echo never has the form: three tries a row, each taken up once"
    assert fit("rpo", tiny_checkpoint, tmp_path / "rules")[0].fit_usage is None


def test_the_tokens_of_each_stage_are_told(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, _ = fit("rpo", tiny_checkpoint, tmp_path / "once", rl="grpo")
    assert "\nGRPO: " in capsys.readouterr().err, "what its log says is told"
    twice, _ = fit("rpo", tiny_checkpoint, tmp_path / "twice", sft_epochs=2, rl="dpo")
    first, second = (dict(made.fit_tokens or {}) for made in (once, twice))
    assert first.keys() == {"sft", "grpo"} and second.keys() == {"sft", "dpo"}
    assert second["sft"] == 2 * first["sft"] and first["grpo"] > 0 and second["dpo"] > 0


def test_dpo_starts_from_stage_one_and_ends_elsewhere(tiny_checkpoint: Path, tmp_path: Path) -> None:
    _, alone = fit("rpo", tiny_checkpoint, tmp_path / "none")
    _, dpo = fit("rpo", tiny_checkpoint, tmp_path / "dpo", rl="dpo", rl_steps=2)
    assert (dpo / "dpo.jsonl").exists() and adapter(dpo) != adapter(alone)
    assert losses(dpo) == losses(alone)
