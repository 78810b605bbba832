"""RPO and its trained rivals fitted on a tiny random model: each switch moves the rows, the loss or the adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fixed_sources import FirstItems, FixedDrafts
from odd_profiles import make_odd_examples
from training_jobs import ADAPTER_FILE, TWEET

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
from rpobench.types import Labelled, Prediction

TEACHER = {"writer": "teacher", "teacher": "scripted:echo"}


@dataclass(frozen=True)
class Fit:
    """A trained method, and the folder it saved."""

    method: TrainedModule
    saved: Path

    @property
    def adapter(self) -> bytes:
        return (self.saved / "adapter" / ADAPTER_FILE).read_bytes()

    @property
    def trajectories(self) -> Path:
        return self.saved / "trajectories.jsonl"

    def losses(self, name: str = "loss") -> list[float]:
        entries = [json.loads(line) for line in (self.saved / "sft.jsonl").read_text().splitlines()]
        return [entry[name] for entry in entries if name in entry]


def six_tweets() -> list[Labelled]:
    return list(generate("LaMP-7", "train", 6).labelled)


def fit(
    method_name: str,
    checkpoint: Path,
    folder: Path,
    train: Mapping[Task, Sequence[Labelled]] | None = None,
    drafts: FixedDrafts | None = None,
    **knobs: Any,
) -> Fit:
    """Train a method, on six users of LaMP-7 unless a test says otherwise, and save it."""
    quick_knobs = {"reflection_model": f"hf:{checkpoint}", "k": 2, "lora_rank": 2, "sft_epochs": 1, "rl": "none",
                   "validation": 0, "rl_steps": 1, "rl_group": 2, "rl_prompts": 1, "max_new_tokens": 4}  # fmt: skip
    method_class: Any = get_method(method_name)
    method = method_class(method_class.Config(**{**quick_knobs, **knobs}))
    draft_store: Any = drafts or FixedDrafts()
    context = FitContext(ScriptedModel(str), draft_store, FirstItems(), seed=0, folder=folder / "work")

    method.fit(train or {TWEET: six_tweets()}, context)

    (folder / "saved").mkdir(parents=True)
    method.save(folder / "saved")
    return Fit(method, folder / "saved")


class DraftsWithGaps(FixedDrafts):
    """Drafts as a fit gets them: without those that the model refused."""

    def __init__(self, *refused_ids: str) -> None:
        super().__init__()
        self.refused_ids = refused_ids

    def get_drafts(self, task: Any, examples: Sequence[Any]) -> dict[str, Prediction]:
        drafts = super().get_drafts(task, examples)
        return {example_id: draft for example_id, draft in drafts.items() if example_id not in self.refused_ids}


def texts_of(predictions: Sequence[Prediction]) -> list[str | None]:
    """What the module wrote."""
    return [prediction.trajectory for prediction in predictions]


@pytest.mark.parametrize("method_name", ["rpo", "sft-rag", "sft-rag-analysis", "sft-generic"])
def test_each_trained_module_does_what_every_method_owes(
    method_name: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    fitted = fit(method_name, tiny_checkpoint, tmp_path, rl="grpo")
    method, loaded = fitted.method, type(fitted.method).load(fitted.saved, fitted.method.config)
    context = PredictContext(ScriptedModel(str), FixedDrafts(), FirstItems(), 0, Path("unused"))
    examples = make_odd_examples("LaMP-7")
    with_swapped_profiles = [
        replace(example, profile=other.profile) for example, other in zip(examples, reversed(examples), strict=True)
    ]

    predictions = list(method.predict(TWEET, examples, context))
    predictions_of_loaded = list(loaded.predict(TWEET, examples, context))
    swapped_predictions = list(method.predict(TWEET, with_swapped_profiles, context))

    assert [prediction.example_id for prediction in predictions] == [example.id for example in examples]
    assert texts_of(predictions) == texts_of(predictions_of_loaded)
    assert (texts_of(predictions) != texts_of(swapped_predictions)) is method.reads_profile
    assert bool(method.retrievers()) is method.reads_profile
    assert (fitted.saved / "grpo.jsonl").exists()


def test_each_rival_and_each_missing_part_learns_other_rows(tiny_checkpoint: Path, tmp_path: Path) -> None:
    runs: list[tuple[str, dict[str, Any]]] = [
        ("rpo", {}), ("rpo", {"analysis": "off"}), ("rpo", {"draft": "off"}), ("rpo", {"evidence": "off"}),
        ("sft-rag", {}), ("sft-rag-analysis", {}), ("sft-generic", {}), ("rpo", {"validation": 0.5}),
    ]  # fmt: skip

    fits = []
    for number, (method_name, knobs) in enumerate(runs):
        fits.append(fit(method_name, tiny_checkpoint, tmp_path / str(number), **knobs))

    first_losses = [fitted.losses()[0] for fitted in fits]
    assert first_losses[2] == first_losses[5], "rpo without a draft is sft-rag-analysis"
    assert len(set(first_losses)) == len(runs) - 1
    assert fits[-1].losses("eval_loss"), "held-out users were not measured"


def test_a_user_is_either_trained_on_or_held_out(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_groups: list[set[str]] = []

    def build_and_record(demonstrations: Sequence[Demonstration], form: Any, **options: Any) -> Any:
        user_groups.append({demonstration.row.example.user_id for demonstration in demonstrations})
        return build_sft_dataset(demonstrations, form, **options)

    monkeypatch.setattr("rpobench.rpo.training.sft.build_sft_dataset", build_and_record)
    two_per_user = []
    for pair in six_tweets():
        for letter in "ab":
            example = replace(pair.example, id=f"{pair.example.id}/{letter}")
            two_per_user.append(Labelled(example, pair.target))

    fit("rpo", tiny_checkpoint, tmp_path, {TWEET: two_per_user}, validation=0.5)

    assert [len(group) for group in user_groups] == [3, 3] and not user_groups[0] & user_groups[1]


def test_an_exported_file_trains_the_same_and_an_edit_another(tiny_checkpoint: Path, tmp_path: Path) -> None:
    original = fit("rpo", tiny_checkpoint, tmp_path / "original")
    edited_file = tmp_path / "edited.jsonl"
    edited_file.write_text(original.trajectories.read_text().replace("words", "syllables"))

    from_export = fit("rpo", tiny_checkpoint, tmp_path / "exported", trajectories=str(original.trajectories))
    from_edit = fit("rpo", tiny_checkpoint, tmp_path / "edited", trajectories=str(edited_file))

    assert from_export.adapter == original.adapter
    assert from_edit.adapter != original.adapter


@pytest.fixture
def sft_datasets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every dataset that stage 1 is trained on while the test runs."""
    datasets: list[Any] = []

    def build_and_record(demonstrations: Sequence[Demonstration], form: Any) -> Any:
        datasets.append(build_sft_dataset(demonstrations, form))
        return datasets[-1]

    monkeypatch.setattr("rpobench.rpo.training.sft.build_sft_dataset", build_and_record)
    return datasets


def test_a_wrong_conclusion_teaches_its_analysis_and_no_answer(
    tiny_checkpoint: Path, tmp_path: Path, sft_datasets: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tags = list(generate("LaMP-2", "train", 12).labelled)

    fitted = fit("rpo", tiny_checkpoint, tmp_path, {get_task("LaMP-2"): tags}, k=8)

    (dataset,) = sft_datasets
    assert len(dataset) == 12
    stored = {line.example_id: line.trajectory for line in read_trajectories(fitted.trajectories)}
    for pair, row in zip(tags, dataset, strict=True):
        lacks = stored[pair.example.id].lacks  # the drafts hold no label, so none begins with "nothing,"
        assert (row["lead"] == "") == (lacks in (f"{pair.target} fits", "nothing known")), lacks
        assert row["completion"][0]["content"].startswith(row["lead"])
    wrong_count = sum(map(bool, dataset["lead"]))
    assert 0 < wrong_count < 12
    message = (
        f"SFT: {wrong_count} of 12 training trajectories reach a wrong conclusion; only their analysis is trained on"
    )
    assert message in capsys.readouterr().err


def test_where_all_conclusions_are_wrong_they_teach_answers(
    tiny_checkpoint: Path, tmp_path: Path, sft_datasets: list[Any]
) -> None:
    task, pair = get_task("LaMP-2"), generate("LaMP-2", "train", 1).labelled[0]
    tags_of_user = {item.fields["tag"] for item in pair.example.profile}
    foreign_tag = next(label for label in task.labels if label not in tags_of_user)

    fit("rpo", tiny_checkpoint, tmp_path, {task: [replace(pair, target=foreign_tag)]})

    assert sft_datasets[-1]["lead"] == [""], "there is nothing else to learn answers from"


def stop_before_sft(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, folder: Path, **knobs: Any) -> None:
    """Fit as far as the trajectories, as a kill would leave it."""
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr("rpobench.rpo.training.stages.train_sft", None)
        fit("rpo", checkpoint, folder, **knobs)


def test_trajectories_are_not_written_again_after_a_kill(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before_sft(monkeypatch, tiny_checkpoint, tmp_path, **TEACHER)
    monkeypatch.setattr("rpobench.rpo.trajectories.teacher.TeacherWriter.write", None)

    usage = fit("rpo", tiny_checkpoint, tmp_path, **TEACHER).method.fit_usage

    assert usage is not None and usage.calls == 2 * 3 * 6, "what the teacher took is not forgotten"


def test_trajectories_without_a_count_of_their_cost_are_used(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before_sft(monkeypatch, tiny_checkpoint, tmp_path)
    (usage_file,) = tmp_path.rglob(USAGE)
    usage_file.unlink()  # as an earlier version left it

    assert fit("rpo", tiny_checkpoint, tmp_path).method.fit_usage is None


def test_what_a_teacher_costs_is_counted(tiny_checkpoint: Path, tmp_path: Path) -> None:
    usage = fit("rpo", tiny_checkpoint, tmp_path, **TEACHER).method.fit_usage

    assert usage is not None
    assert usage.calls == 2 * 3 * 6, "echo never has the form: three tries a row, each continued once"
    assert fit("rpo", tiny_checkpoint, tmp_path / "rules").method.fit_usage is None


def test_the_tokens_of_each_stage_are_told(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_epoch = fit("rpo", tiny_checkpoint, tmp_path / "one", rl="grpo").method.fit_tokens
    assert "\nGRPO: " in capsys.readouterr().err, "what its log says is told"
    two_epochs = fit("rpo", tiny_checkpoint, tmp_path / "two", sft_epochs=2, rl="dpo").method.fit_tokens

    assert one_epoch is not None and two_epochs is not None
    assert one_epoch.keys() == {"sft", "grpo"} and two_epochs.keys() == {"sft", "dpo"}
    assert two_epochs["sft"] == 2 * one_epoch["sft"] and one_epoch["grpo"] > 0 and two_epochs["dpo"] > 0


def test_dpo_starts_from_stage_one_and_ends_elsewhere(tiny_checkpoint: Path, tmp_path: Path) -> None:
    sft_alone = fit("rpo", tiny_checkpoint, tmp_path / "none")
    with_dpo = fit("rpo", tiny_checkpoint, tmp_path / "dpo", rl="dpo", rl_steps=2)

    assert (with_dpo.saved / "dpo.jsonl").exists() and with_dpo.adapter != sft_alone.adapter
    assert with_dpo.losses() == sft_alone.losses()


def test_an_example_without_draft_is_no_training_row(tiny_checkpoint: Path, tmp_path: Path) -> None:
    third = six_tweets()[2].example

    with_gap = fit("rpo", tiny_checkpoint, tmp_path / "gap", drafts=DraftsWithGaps(third.id))
    without_drafts = fit("sft-rag", tiny_checkpoint, tmp_path / "rag", drafts=DraftsWithGaps(third.id))

    assert len(with_gap.trajectories.read_text().splitlines()) == 5
    assert len(without_drafts.trajectories.read_text().splitlines()) == 6, "what reads no drafts lacks nothing"
