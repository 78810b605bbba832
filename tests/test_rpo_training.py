"""Both training stages on a random two-layer model: what is trained, in which order, and what survives a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from rpobench import get_task
from rpobench.rpo.prompts import Trajectory
from rpobench.rpo.rl import FORMAT_BONUS, curriculum, reward, train_grpo, variance_note
from rpobench.rpo.sft import sft_rows, train_sft
from rpobench.rpo.training import TrainingRow, finished_stage, last_checkpoint
from rpobench.types import Example, ProfileItem

RATING, TWEET = get_task("LaMP-3"), get_task("LaMP-7")
ADAPTER = "adapter_model.safetensors"


def rows(count: int) -> list[TrainingRow]:
    evidence = tuple(ProfileItem(str(i), {"text": f"word {i}", "score": str(1 + i % 5)}) for i in range(4))
    return [
        TrainingRow(task, Example(f"{task.name}-{i}", f"u{i}", f"text {i}"), str(1 + i % 5), "3", evidence)
        for i in range(count)
        for task in (RATING, TWEET)
    ]


def data(count: int = 8):  # type: ignore[no-untyped-def]
    some = rows(count)
    return sft_rows(some, [Trajectory("likes", "short", row.target) for row in some])


def sft(checkpoint: Path, folder: Path, **changes):  # type: ignore[no-untyped-def]
    settings = {"rank": 4, "epochs": 2.0, "learning_rate": 1e-2, "batch": 4, "seed": 0, "save_steps": 2, **changes}
    return finished_stage(folder, lambda work: train_sft(data(), checkpoint, work, **settings))


def grpo(checkpoint: Path, adapter: Path, folder: Path, **changes):  # type: ignore[no-untyped-def]
    settings = {
        "steps": 3, "group": 2, "prompts": 2, "k": 4, "learning_rate": 1e-2, "beta": 0.02, "max_new_tokens": 8,
        "seed": 0, **changes,
    }  # fmt: skip
    return finished_stage(folder, lambda work: train_grpo(rows(4), checkpoint, adapter, work, **settings))


def log(adapter: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (adapter / "log.jsonl").read_text().splitlines()]


def test_sft_trains_the_completion_only(tiny_checkpoint: Path, tmp_path: Path) -> None:
    row = data(1)[0]
    assert row["completion"][0]["content"].startswith("History shows: likes\nDraft lacks: short\nRewrite: ")
    trainer = train_sft(data(2), tiny_checkpoint, tmp_path, rank=4, epochs=1, learning_rate=1e-2, batch=2, seed=0)
    batch = next(iter(trainer.get_train_dataloader()))
    trained = trainer.processing_class.decode(batch["labels"][0][batch["labels"][0] != -100])
    assert "History shows" in trained and "Input" not in trained


def test_sft_lowers_the_loss_and_is_repeatable(tiny_checkpoint: Path, tmp_path: Path) -> None:
    one = sft(tiny_checkpoint, tmp_path / "one", epochs=6.0)
    losses = [entry["loss"] for entry in log(one) if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]
    two = sft(tiny_checkpoint, tmp_path / "two", epochs=6.0)
    assert (one / ADAPTER).read_bytes() == (two / ADAPTER).read_bytes()


def test_a_finished_stage_is_not_trained_again(tiny_checkpoint: Path, tmp_path: Path) -> None:
    adapter = sft(tiny_checkpoint, tmp_path)

    def refuse(work: Path):  # type: ignore[no-untyped-def]
        raise AssertionError("trained again")

    assert finished_stage(tmp_path, refuse) == adapter


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step, state in ((2, "{}"), (10, '{"global_st')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-12").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_grpo_changes_the_adapter_and_logs_its_reward(tiny_checkpoint: Path, tmp_path: Path) -> None:
    start = sft(tiny_checkpoint, tmp_path / "sft")
    end = grpo(tiny_checkpoint, start, tmp_path / "grpo")
    before, after = load_file(start / ADAPTER), load_file(end / ADAPTER)
    assert before.keys() == after.keys()
    steps = [entry for entry in log(end) if "reward" in entry]
    assert len(steps) == 3
    assert all({"frac_reward_zero_std", "kl", "parse_rate"} <= entry.keys() for entry in steps)


def test_grpo_learns_from_a_reward_that_varies(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_length(tasks):  # type: ignore[no-untyped-def]
        return lambda completions, **_: [float(len(completion[0]["content"]) % 7) for completion in completions]

    monkeypatch.setattr("rpobench.rpo.rl.reward", by_length)
    start = sft(tiny_checkpoint, tmp_path / "sft")
    end = grpo(tiny_checkpoint, start, tmp_path / "grpo")
    before, after = load_file(start / ADAPTER), load_file(end / ADAPTER)
    assert any(not before[name].equal(after[name]) for name in before)


@pytest.mark.parametrize(("shares", "words"), [((1.0, 1.0), "never varied"), ((1.0, 0.5), "75% of the groups")])
def test_a_reward_without_variance_is_told(tmp_path: Path, shares: tuple[float, ...], words: str) -> None:
    lines = [json.dumps({"frac_reward_zero_std": share}) + "\n" for share in shares]
    (tmp_path / "log.jsonl").write_text("".join([*lines, json.dumps({"train_runtime": 1.0}) + "\n"]))
    assert words in variance_note(tmp_path)


def test_the_reward_is_the_score_plus_a_bonus_and_zero_where_nothing_parses() -> None:
    texts = [Trajectory("a", "b", "4").text(), Trajectory("a", "b", "2").text(), "4"]
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    judge = reward({"LaMP-3": RATING})
    assert judge(completions, ["LaMP-3"] * 3, ["4"] * 3) == [1 + FORMAT_BONUS, 0.5 + FORMAT_BONUS, 0.0]


def test_the_curriculum_goes_from_one_item_to_k_over_all_tasks() -> None:
    ordered = curriculum(rows(4), steps=8, prompts=4, k=4, seed=0)
    assert [len(row.evidence) for row in ordered[::4]] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert {row.task.name for row in ordered[:2]} == {"LaMP-3", "LaMP-7"}
    assert ordered[0].evidence == rows(1)[0].evidence[:1]
