"""Stage 2 by GRPO: prompts, reward, groups that cannot vary, held-out users, and what its log is said to show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rpobench.leaderboard.html.panels import TRAINING_FIGURES
from safetensors.torch import load_file
from text_files import read_training_log
from training_jobs import (
    ADAPTER_FILE,
    RATING,
    demonstrate,
    make_job,
    make_rows,
    make_rows_of_two_tasks,
    run_grpo,
    run_sft,
)

from rpobench.rpo.form import Form
from rpobench.rpo.training.curriculum import order_prompts
from rpobench.rpo.training.grpo import train_grpo
from rpobench.rpo.training.grpo_notes import write_grpo_notes
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.policy import load_tokenizer
from rpobench.rpo.training.sft_data import build_sft_dataset
from rpobench.rpo.training.stage import count_trained_tokens

FOUR_TWEETS = TrainingData(demonstrate(make_rows(4)))
FOUR_USERS = TrainingData(demonstrate(make_rows_of_two_tasks(4)))
EIGHT_USERS = TrainingData(demonstrate(make_rows_of_two_tasks(8)))
RewardFunction = Callable[..., list[float]]


def use_reward(monkeypatch: pytest.MonkeyPatch, reward: RewardFunction) -> None:
    """Every completion earns what `reward` says instead of the task's score."""
    monkeypatch.setattr("rpobench.rpo.training.grpo.make_reward", lambda tasks, form: reward)


def test_grpo_asks_in_curriculum_order_with_kl_to_stage_one(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = []

    def reward_by_position(completions: list[Any], target: list[str], evidence: list[str], **_: Any) -> list[float]:
        prompts.extend(zip(target, evidence, strict=True))
        return [float(position) for position in range(len(completions))]

    use_reward(monkeypatch, reward_by_position)
    rows = make_rows(6)
    adapter = run_grpo(tiny_checkpoint, tmp_path, TrainingData(demonstrate(rows)), sft_adapter, rl_steps=4)

    expected = []
    for row in order_prompts(rows, steps=4, prompts_per_step=2, k=4, seed=0):
        expected.append((row.target, "\n".join(row.task.show(item) for item in row.evidence)))
    assert prompts[::2] == prompts[1::2] == expected, "trl shuffles unless told otherwise"

    kl = [entry["kl"] for entry in read_training_log(adapter) if "kl" in entry]
    assert kl[0] == pytest.approx(0, abs=1e-5) and kl[-1] > 1e-4, "from the policy of stage 1 and not from the base"


def test_grpo_keeps_the_start_where_held_out_users_fare_worse(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_sizes = []

    def falling_reward(completions: list[Any], log_metric: Any, **_: Any) -> list[float]:
        batch_sizes.append(len(completions))
        log_metric("parse_rate", 1 / len(batch_sizes))
        return [position / len(batch_sizes) for position in range(1, len(completions) + 1)]

    use_reward(monkeypatch, falling_reward)
    data = TrainingData(demonstrate(make_rows(4)), held_out=demonstrate(make_rows(3)))
    adapter = run_grpo(tiny_checkpoint, tmp_path, data, sft_adapter)

    assert batch_sizes == [3, 4, 3, 4, 3]
    assert (adapter / ADAPTER_FILE).read_bytes() == (sft_adapter / ADAPTER_FILE).read_bytes()
    notes = write_grpo_notes(adapter, steps=2)
    assert "step 0 was kept" in notes[1] and "reward fell" in notes[2] and "parse rate fell" in notes[3]


@pytest.mark.parametrize("varies", [True, False])
def test_groups_that_cannot_vary_are_passed_over(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, varies: bool
) -> None:
    use_reward(monkeypatch, lambda completions, **_: [0.0, float(varies), *[0.5] * (len(completions) - 2)])
    trainer = train_grpo(make_job(tiny_checkpoint, tmp_path, rl_steps=1), FOUR_TWEETS, sft_adapter, tmp_path)
    trainer.model.train()

    prompts = trainer.train_dataset
    batch = trainer._generate_and_score_completions([prompts[0], prompts[0], prompts[1], prompts[1]])

    assert batch["completion_mask"].any(1).tolist() == [varies, varies, False, False]
    assert batch["num_items_in_batch"] == batch["completion_mask"].sum()


def test_equal_rewards_that_differ_by_rounding_are_passed_over(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_reward(monkeypatch, lambda completions, **_: [0.6] * len(completions))
    one_wide_group = make_job(tiny_checkpoint, tmp_path, rl_steps=1, rl_group=8, rl_prompts=1)
    trainer = train_grpo(one_wide_group, FOUR_TWEETS, sft_adapter, tmp_path)
    trainer.model.train()

    batch = trainer._generate_and_score_completions([trainer.train_dataset[0]] * 8)

    assert batch["advantages"].any() and not batch["completion_mask"].any()


def test_held_out_users_may_have_a_task_that_no_other_user_has(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path
) -> None:
    data = TrainingData(demonstrate(make_rows(4)), held_out=demonstrate(make_rows(1, RATING)))

    adapter = run_grpo(tiny_checkpoint, tmp_path, data, sft_adapter)

    assert any("eval_reward" in entry for entry in read_training_log(adapter))


def train_both_stages(checkpoint: Path, folder: Path) -> tuple[Path, Path]:
    """The adapters of stage 1, on eight users of two tasks, and of three steps of GRPO on four of them."""
    sft_adapter = run_sft(checkpoint, folder / "sft", EIGHT_USERS, sft_epochs=2.0)
    return sft_adapter, run_grpo(checkpoint, folder / "grpo", FOUR_USERS, sft_adapter, rl_steps=3)


def test_grpo_logs_its_reward_under_the_names_that_are_drawn(tiny_checkpoint: Path, tmp_path: Path) -> None:
    sft_adapter, grpo_adapter = train_both_stages(tiny_checkpoint, tmp_path)

    before, after = load_file(sft_adapter / ADAPTER_FILE), load_file(grpo_adapter / ADAPTER_FILE)
    assert before.keys() == after.keys()

    steps = [entry for entry in read_training_log(grpo_adapter) if "reward" in entry]
    assert len(steps) == 3
    names = {"loss", "reward", "reward_std", "frac_reward_zero_std", "kl", "completions/mean_length", "parse_rate"}
    assert all(names <= entry.keys() for entry in steps)
    assert names < TRAINING_FIGURES.keys(), "drawn under the names they are logged by"
    assert write_grpo_notes(grpo_adapter, steps=3)[-1].startswith("GRPO: no user was held out")


def test_grpo_learns_from_a_reward_that_varies(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reward_by_length(completions: list[Any], **_: Any) -> list[float]:
        return [float(len(completion[0]["content"]) % 7) for completion in completions]

    use_reward(monkeypatch, reward_by_length)
    sft_adapter, grpo_adapter = train_both_stages(tiny_checkpoint, tmp_path)

    before, after = load_file(sft_adapter / ADAPTER_FILE), load_file(grpo_adapter / ADAPTER_FILE)
    assert any(not before[name].equal(after[name]) for name in before)


def test_the_tokens_of_a_stage_are_those_it_read(tiny_checkpoint: Path, tmp_path: Path) -> None:
    _, grpo_adapter = train_both_stages(tiny_checkpoint, tmp_path)

    tokenizer = load_tokenizer(tiny_checkpoint)
    epoch_tokens = 0
    for row in build_sft_dataset(EIGHT_USERS.training, Form()):
        epoch_tokens += len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=False))

    *_, last = (entry for entry in read_training_log(grpo_adapter) if "num_tokens" in entry)
    assert count_trained_tokens(tmp_path) == {"sft": 2 * epoch_tokens, "grpo": last["num_tokens"]}


@pytest.mark.parametrize(("shares", "words"), [((1.0, 1.0), "never varied"), ((1.0, 0.5), "75% of the groups")])
def test_a_reward_without_variance_is_told(tmp_path: Path, shares: tuple[float, ...], words: str) -> None:
    lines = [json.dumps({"frac_reward_zero_std": share}) + "\n" for share in shares]
    (tmp_path / "log.jsonl").write_text("".join([*lines, json.dumps({"train_runtime": 1.0}) + "\n"]))

    assert words in write_grpo_notes(tmp_path, steps=3)[0]


def test_the_notes_name_the_adapter_that_was_kept(tmp_path: Path) -> None:
    # Step 3 is measured by a resume alone, and step 4 once more: neither counts.
    measurements = [(0, 0.86), (3, 0.99), (4, 0.91), (4, 0.95), (8, 0.8)]
    lines = [{"step": step, "eval_reward": reward, "eval_parse_rate": 1.0} for step, reward in measurements]
    lines.append({"step": 8, "frac_reward_zero_std": 0.5})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert write_grpo_notes(tmp_path, steps=8)[1:] == [
        "GRPO: reward on held-out users 0.860 at step 0, 0.910 at step 4, 0.800 at step 8: step 4 was kept",
        "GRPO: on held-out users the reward fell from 0.860 to 0.800 in the end",
    ]


def test_a_prompt_read_once_for_its_group_gives_the_same_completions(
    tiny_checkpoint: Path, sft_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32; and the random stream is left where the library's own sampling would leave it."""
    monkeypatch.setattr("rpobench.rpo.training.arguments.mixed_precision", lambda: False)
    texts: list[str] = []

    def reward_by_position(completions: list[Any], **_: Any) -> list[float]:
        texts.extend(completion[0]["content"] for completion in completions)
        return [float(position) for position in range(len(completions))]

    use_reward(monkeypatch, reward_by_position)
    run_grpo(tiny_checkpoint, tmp_path / "parts", FOUR_TWEETS, sft_adapter)
    read_once, texts = texts, []
    monkeypatch.setattr("rpobench.rpo.training.grpo.has_plain_cache", lambda model: False)
    run_grpo(tiny_checkpoint, tmp_path / "library", FOUR_TWEETS, sft_adapter)

    assert texts == read_once
    assert len(set(texts)) > 2
