"""What keeps a training honest: held-out users, the best checkpoint, groups that cannot vary, and DPO's pairs."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rpobench.leaderboard.report_command import LOGGED
from safetensors import SafetensorError
from safetensors.torch import load_file
from text_files import read_training_log
from training_jobs import demonstrate, make_job, make_rows

from rpobench import get_task
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.rpo.training.best_adapter import BestAdapter, choose_held_out_users
from rpobench.rpo.training.curriculum import order_prompts
from rpobench.rpo.training.dpo import build_dpo_dataset, dpo_arguments, select_preferences, train_dpo
from rpobench.rpo.training.grpo import grpo_arguments, train_grpo
from rpobench.rpo.training.grpo_notes import write_grpo_notes
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.reward import copied_share, facts_lost, make_reward
from rpobench.rpo.training.sft import evaluation_steps, sft_arguments, train_sft
from rpobench.rpo.training.sft_data import build_sft_dataset
from rpobench.rpo.training.stage import run_stage
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.types import RpobenchError

TWEET, FORM, ADAPTER = get_task("LaMP-7"), Form(), "adapter_model.safetensors"


def rows(count: int, task: Any = TWEET) -> list[TrainingRow]:
    return make_rows(count, task)


def pairs(count: int) -> list[Demonstration]:
    return demonstrate(rows(count))


@pytest.fixture(scope="module")
def start(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage-1 adapter."""
    job = make_job(tiny_checkpoint, tmp_path_factory.mktemp("sft"), sft_epochs=1)
    return run_stage(job.folder, lambda work: train_sft(job, TrainingData(pairs(4)), work))


def test_held_out_users_are_a_seeded_share_and_none_of_too_few() -> None:
    users = [f"u{i}" for i in range(20)]
    held = choose_held_out_users([*users, *users], share=0.1, seed=0)
    assert len(held) == 2 and held == choose_held_out_users(reversed(users), share=0.1, seed=0)
    assert held != choose_held_out_users(users, share=0.1, seed=1)
    assert choose_held_out_users(users[:4], share=0.1, seed=0) == choose_held_out_users(users, share=0, seed=0) == set()


@pytest.mark.parametrize(("epoch", "steps"), [(1, 1), (12, 12), (63, 20), (202, 51)])
def test_the_held_out_loss_is_measured_a_few_times_an_epoch(epoch: int, steps: int) -> None:
    assert evaluation_steps(epoch) == steps


def test_sft_measures_the_loss_on_held_out_rows_stops_early_and_keeps_the_best(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    other_words = Trajectory("q", "z", "entirely other words")
    data = TrainingData(pairs(4), [Demonstration(row, other_words) for row in rows(2)])
    job = make_job(tiny_checkpoint, tmp_path, sft_epochs=12, patience=1, sft_learning_rate=0.1)
    trained = {}

    def train(work: Path) -> Any:
        trained["last"] = train_sft(job, data, work)
        return trained["last"]

    adapter = run_stage(tmp_path, train)
    losses = [entry["eval_loss"] for entry in read_training_log(adapter) if "eval_loss" in entry]
    assert len(losses) < 12, "the loss on other words rises, so training must end early"
    assert losses.index(min(losses)) == len(losses) - 2
    last = trained["last"].model.state_dict()
    kept = load_file(adapter / ADAPTER)
    name = next(name for name in kept if "lora_B" in name)
    assert not torch.equal(kept[name], last[name.replace(".weight", ".default.weight")])


def evaluate(best: BestAdapter, step: int, value: float, *, every: int = 1) -> bool:
    """Report a value as the trainer does, and say whether training is to stop."""
    control = SimpleNamespace(should_training_stop=False)
    model = SimpleNamespace(
        save_pretrained=lambda path, **_: (Path(path).mkdir(exist_ok=True), (Path(path) / "w").write_text(str(step)))
    )
    state = SimpleNamespace(global_step=step, max_steps=7)
    best.on_evaluate(SimpleNamespace(eval_steps=every), state, control, {"m": value}, model)
    return control.should_training_stop


def test_the_best_adapter_survives_a_kill_and_a_resume_adds_nothing(tmp_path: Path) -> None:
    best = BestAdapter(tmp_path / "best", "m", higher=True, patience=2)
    assert not evaluate(best, 0, 0.5, every=2)
    assert not evaluate(best, 2, 0.7, every=2)
    again = BestAdapter(tmp_path / "best", "m", higher=True, patience=2)
    evaluate(again, 2, 0.1, every=2)
    evaluate(again, 3, 0.9, every=2)
    assert again.values() == [(0, 0.5), (2, 0.7)]
    assert not evaluate(again, 4, 0.6, every=2)
    assert evaluate(again, 6, 0.6, every=2)
    assert (tmp_path / "best" / "adapter" / "w").read_text() == "2"
    evaluate(again, 7, 0.8, every=2)
    assert again.values()[-1] == (7, 0.8), "the evaluation after the last step counts"


@pytest.mark.parametrize("higher", [True, False])
def test_what_is_no_number_is_worse_than_any(tmp_path: Path, higher: bool) -> None:
    best = BestAdapter(tmp_path / "best", "m", higher=higher, patience=2)
    assert [evaluate(best, step, value) for step, value in ((0, nan), (1, 0.5), (2, nan))] == [False] * 3
    assert (tmp_path / "best" / "adapter" / "w").read_text() == "1"
    assert evaluate(best, 3, nan)


@pytest.mark.parametrize(("kind", "shown"), [("progressive", [1, 2, 4]), ("reverse", [4, 2, 1]), ("fixed", [4, 4, 4])])
def test_each_curriculum_shows_its_number_of_items(kind: Any, shown: list[int]) -> None:
    ordered = order_prompts(rows(4), steps=3, prompts_per_step=2, k=4, seed=0, curriculum=kind)
    assert [len(row.evidence) for row in ordered[::2]] == shown


def test_a_row_with_fewer_items_than_k_goes_through_them_all() -> None:
    few = [replace(row, evidence=row.evidence[:2]) for row in rows(2)]
    ordered = order_prompts(few, steps=4, prompts_per_step=1, k=8, seed=0)
    assert [len(row.evidence) for row in ordered] == [1, 1, 1, 2]
    none = [replace(row, evidence=()) for row in rows(2)]
    assert not any(row.evidence for row in order_prompts(none, steps=4, prompts_per_step=1, k=8, seed=0))


def test_grpo_asks_in_the_order_of_the_curriculum_and_its_kl_is_to_stage_one(
    tiny_checkpoint: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def by_place(tasks: Any, form: Form) -> Any:
        def score(completions: list[Any], target: list[str], evidence: list[str], **_: Any) -> list[float]:
            asked.extend(zip(target, evidence, strict=True))
            return [float(place) for place in range(len(completions))]

        return score

    monkeypatch.setattr("rpobench.rpo.training.grpo.make_reward", by_place)
    job = make_job(tiny_checkpoint, tmp_path, rl_steps=4)
    adapter = run_stage(tmp_path, lambda work: train_grpo(job, TrainingData(pairs(6)), start, work))
    ordered = order_prompts(rows(6), steps=4, prompts_per_step=2, k=4, seed=0)
    wanted = [(row.target, "\n".join(row.task.show(item) for item in row.evidence)) for row in ordered]
    assert asked[::2] == asked[1::2] == wanted, "trl shuffles unless told otherwise"
    kl = [entry["kl"] for entry in read_training_log(adapter) if "kl" in entry]
    assert kl[0] == pytest.approx(0, abs=1e-5) and kl[-1] > 1e-4, "from the policy of stage 1 and not from the base"


def test_vllm_and_reports_are_passed_through(tmp_path: Path) -> None:
    assert grpo_arguments(make_job(tmp_path, tmp_path, rl_vllm=True), tmp_path, held_out_count=0).use_vllm
    job = make_job(tmp_path, tmp_path, report_to="tensorboard")
    stages = [
        grpo_arguments(job, tmp_path, held_out_count=0),
        dpo_arguments(job, tmp_path, evaluates=False),
        sft_arguments(job, tmp_path, row_count=1, evaluates=False),
    ]
    assert [arguments.report_to for arguments in stages] == [["tensorboard"]] * 3


def test_grpo_keeps_the_start_where_held_out_users_fare_worse_after_it(
    tiny_checkpoint: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def falling(tasks: Any, form: Form) -> Any:
        def score(completions: list[Any], log_metric: Any, **_: Any) -> list[float]:
            calls.append(len(completions))
            log_metric("parse_rate", 1 / len(calls))
            return [place / len(calls) for place in range(1, len(completions) + 1)]

        return score

    monkeypatch.setattr("rpobench.rpo.training.grpo.make_reward", falling)
    job, data = make_job(tiny_checkpoint, tmp_path), TrainingData(pairs(4), pairs(3))
    adapter = run_stage(tmp_path, lambda work: train_grpo(job, data, start, work))
    assert calls == [3, 4, 3, 4, 3]
    assert (adapter / ADAPTER).read_bytes() == (start / ADAPTER).read_bytes()
    notes = write_grpo_notes(adapter, steps=2)
    assert "step 0 was kept" in notes[1] and "reward fell" in notes[2] and "parse rate fell" in notes[3]


@pytest.mark.parametrize("varies", [True, False])
def test_groups_that_cannot_vary_are_passed_over(
    tiny_checkpoint: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, varies: bool
) -> None:
    def one_group_varies(tasks: Any, form: Form) -> Any:
        return lambda completions, **_: [0.0, float(varies), *[0.5] * (len(completions) - 2)]

    monkeypatch.setattr("rpobench.rpo.training.grpo.make_reward", one_group_varies)
    trainer = train_grpo(make_job(tiny_checkpoint, tmp_path, rl_steps=1), TrainingData(pairs(4)), start, tmp_path)
    trainer.model.train()
    dataset = trainer.train_dataset
    batch = trainer._generate_and_score_completions([dataset[0], dataset[0], dataset[1], dataset[1]])
    assert batch["completion_mask"].any(1).tolist() == [varies, varies, False, False]
    assert batch["num_items_in_batch"] == batch["completion_mask"].sum()


def test_equal_rewards_that_rounding_tells_apart_are_passed_over(
    tiny_checkpoint: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rpobench.rpo.training.grpo.make_reward", lambda tasks, form: lambda completions, **_: [0.6] * len(completions)
    )
    wide = make_job(tiny_checkpoint, tmp_path, rl_steps=1, rl_group=8, rl_prompts=1)
    trainer = train_grpo(wide, TrainingData(pairs(4)), start, tmp_path)
    trainer.model.train()
    batch = trainer._generate_and_score_completions([trainer.train_dataset[0]] * 8)
    assert batch["advantages"].any() and not batch["completion_mask"].any()


def test_held_out_users_may_be_of_a_task_that_no_other_user_has(
    tiny_checkpoint: Path, start: Path, tmp_path: Path
) -> None:
    data = TrainingData(pairs(4), demonstrate(rows(1, get_task("LaMP-3"))))
    job = make_job(tiny_checkpoint, tmp_path)
    adapter = run_stage(tmp_path, lambda work: train_grpo(job, data, start, work))
    assert any("eval_reward" in entry for entry in read_training_log(adapter))


def test_held_out_rows_are_measured_without_answers_that_contradict_their_analysis() -> None:
    row = replace(rows(1, get_task("LaMP-3"))[0], target="5")
    against = [Demonstration(row, Trajectory("gave 4", "closest 4 fits", "5"))]
    assert build_sft_dataset(against, FORM)["lead"] == [""], "there is nothing else to learn from"
    assert build_sft_dataset(against, FORM, held_out=True)["lead"] == [
        "History shows: gave 4\nDraft lacks: closest 4 fits\nRewrite:"
    ]


@pytest.mark.parametrize("changes", [{"sft_epochs": 8, "patience": 1, "sft_learning_rate": 50.0}, {"sft_epochs": 1.5}])
def test_a_stage_that_ended_is_not_trained_on_after_a_kill(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    data = TrainingData(pairs(6), pairs(6)[4:] if "patience" in changes else [])

    def stage(folder: Path) -> Path:
        job = make_job(tiny_checkpoint, folder, **changes)
        return run_stage(folder, lambda work: train_sft(job, data, work))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    whole = stage(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rpobench.rpo.training.stage._put_in_place", killed)
        stage(tmp_path / "killed")
    again = stage(tmp_path / "killed")
    assert read_training_log(whole)[-1]["step"] < 24, "the loss on held-out users must end the eight epochs early"
    assert (again / ADAPTER).read_bytes() == (whole / ADAPTER).read_bytes()
    assert read_training_log(again)[-1]["step"] == read_training_log(whole)[-1]["step"]


def test_a_full_disk_in_a_stage_is_one_line(tmp_path: Path) -> None:
    def full(work: Path) -> Any:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.raises(RpobenchError, match=r"No space left on device .*make room there and run again"):
        run_stage(tmp_path, full)
    with pytest.raises(RuntimeError, match="shape"):
        run_stage(tmp_path, lambda work: (_ for _ in ()).throw(RuntimeError("shape")))


def test_the_reports_of_a_stage_survive_it(tmp_path: Path) -> None:
    trainer = SimpleNamespace(
        model=SimpleNamespace(save_pretrained=lambda path, **_: Path(path).mkdir(exist_ok=True)),
        state=SimpleNamespace(log_history=[]),
    )

    def train(work: Path) -> Any:
        (work / "runs" / "now").mkdir(parents=True)
        (work / "runs" / "now" / "events").write_text("loss")
        return trainer

    adapter = run_stage(tmp_path / "sft", train)
    assert (adapter / "runs" / "now" / "events").read_text() == "loss"
    made = RPO(RPOConfig(), adapter=adapter)
    made._work_folder = tmp_path
    (tmp_path / "trajectories.jsonl").write_text("")
    made.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "runs" / "sft" / "now" / "events").read_text() == "loss"
    assert not (tmp_path / "saved" / "adapter" / "runs").exists()


def test_dpo_prefers_the_rewrite_in_one_form_and_moves_the_adapter(
    tiny_checkpoint: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = pairs(4)
    equal = replace(some[0], row=replace(some[0].row, draft=some[0].row.target))
    data = build_dpo_dataset(select_preferences([equal, *some[1:]]), FORM, count=6, seed=0)
    assert "3 of 4 rewrites can be preferred" in capsys.readouterr().err
    assert len(data) == 6 and not any("text 0" in row["prompt"][1]["content"] for row in data)
    chosen, rejected = data[0]["chosen"][0]["content"], data[0]["rejected"][0]["content"]
    assert chosen.rsplit(" t ", 1)[0] == rejected.rsplit(" d ", 1)[0] and FORM.parse(rejected)
    with pytest.raises(RpobenchError, match="nothing can be preferred"):
        build_dpo_dataset(select_preferences([equal]), FORM, count=1, seed=0)
    job = make_job(tiny_checkpoint, tmp_path)
    adapter = run_stage(tmp_path, lambda work: train_dpo(job, TrainingData([equal, *some[1:]]), start, work))
    assert "3 of 4 rewrites can be preferred" in capsys.readouterr().err
    losses = [entry["loss"] for entry in read_training_log(adapter) if "loss" in entry]
    assert len(losses) == 2 and losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert (adapter / ADAPTER).read_bytes() != (start / ADAPTER).read_bytes()


def test_the_signs_of_a_gamed_reward_are_logged() -> None:
    logged: dict[str, float] = {}
    tasks = {"LaMP-7": TWEET, "LaMP-3": get_task("LaMP-3")}
    texts = ["ok so Paul ran", "five six", "4", "4"]
    completions = [[{"role": "assistant", "content": FORM.render(Trajectory("a", "b", text))}] for text in texts]
    completions.append([{"role": "assistant", "content": "no form"}])
    make_reward(tasks, FORM)(
        completions,
        ["LaMP-7", "LaMP-7", "LaMP-3", "LaMP-3", "LaMP-3"],
        ["one two", "one two", "4", "5", "5"],
        log_metric=logged.__setitem__,
        draft=["Well Paul ran 3 miles", "nothing", "3", "3", "3"],
        evidence=["he said ok so paul swam", "", "", "", ""],
    )
    assert logged == {
        "parse_rate": 0.8, "copied_share": 0.25, "length_ratio": 1.5, "facts_lost": 0.5, "label_entropy": 0.0
    }  # fmt: skip
    assert logged.keys() < LOGGED.keys() and {f"eval_{sign}" for sign in logged} < LOGGED.keys(), "all are drawn"


def test_signs_of_single_texts() -> None:
    assert copied_share("a b c d", "x a b c y") == 0.5
    assert copied_share("a b", "a b") == 1 and copied_share("...", "a") == 0
    assert facts_lost("He met Ann in 2020", "ann met him") == 0.5 and facts_lost("nothing", "x") == 0


def test_dpo_does_not_prefer_an_answer_that_contradicts_its_analysis() -> None:
    row = replace(rows(1, get_task("LaMP-3"))[0], draft="2", target="4")
    pairs = [Demonstration(row, Trajectory("gave 4", f"highest {rating} fits", "4")) for rating in (4, 5)]
    assert select_preferences(pairs) == pairs[:1]


def test_dpo_keeps_the_adapter_that_prefers_best_on_choose_held_out_users(
    tiny_checkpoint: Path, start: Path, tmp_path: Path
) -> None:
    turned = demonstrate([replace(row, draft=row.target, target=row.draft) for row in rows(2)])
    job = make_job(tiny_checkpoint, tmp_path)
    adapter = run_stage(tmp_path, lambda work: train_dpo(job, TrainingData(pairs(4), turned), start, work))
    measured = [entry["eval_loss"] for entry in read_training_log(adapter) if "eval_loss" in entry]
    assert len(measured) == 3 and min(measured) == measured[0] == pytest.approx(0.6931, abs=1e-3)
    kept, first = (load_file(folder / ADAPTER) for folder in (adapter, start))
    assert all(torch.equal(kept[name], first[name]) for name in first)
