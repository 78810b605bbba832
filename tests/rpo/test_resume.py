"""RPO killed with SIGKILL in either training stage continues and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from training_jobs import ADAPTER_FILE

pytestmark = pytest.mark.slow

# A random model never writes a trajectory, so its reward would never vary: here the length of its text is the reward.
# Every training step and every chat that a model is asked is on disk before the next, so that a kill loses no count.
CODE = """
import os
import rpobench.rpo.training.grpo
from rpobench.cli.main import main
from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.training.progress_bar import TrainingProgress

def note(*words):
    with open(os.environ["COUNTS"], "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def reward_by_length(completions, log_metric, trainer_state, **columns):
    log_metric("parse_rate", 1.0)
    later = 10 * trainer_state.global_step  # so that the last adapter is the best
    return [later + float(len(completion[0]["content"]) % 7) for completion in completions]

def count_calls(name):
    original = getattr(TransformersModel, name)
    def ask(self, chats, *args, **kwargs):
        answers = original(self, chats, *args, **kwargs)
        for chat in chats:
            note("call", name, abs(hash(chat)))
        return answers
    setattr(TransformersModel, name, ask)

step_end = TrainingProgress.on_step_end

def on_step_end(self, args, state, control, **kwargs):
    note("step", self._description.split()[0], state.global_step)
    step_end(self, args, state, control, **kwargs)

TrainingProgress.on_step_end = on_step_end
count_calls("generate")
count_calls("choose")
rpobench.rpo.training.grpo.make_reward = lambda tasks, form: reward_by_length
main()
"""


def command(checkpoint: Path, out: Path) -> list[str]:
    model = f"hf:{checkpoint}"
    knobs = {
        "reflection_model": model, "scope": "shared", "k": "2", "lora_rank": "4", "sft_epochs": "24", "sft_batch": "2",
        "validation": "0.5", "patience": "100",
        "rl_steps": "6", "rl_group": "2", "rl_prompts": "2", "max_new_tokens": "12",
    }  # fmt: skip

    options = ["--method", "rpo", "--task", "LaMP-3,LaMP-7", "--limit", "4", "--base-model", model, "--json"]
    for name, value in knobs.items():
        options += ["--set", f"{name}={value}"]
    return [sys.executable, "-c", CODE, "run", *options, "--out", str(out)]


def environment(out: Path) -> dict[str, str]:
    """The environment of a run whose steps and calls are noted; equal chats have equal hashes in every process."""
    return {**os.environ, "COUNTS": f"{out}.counts", "PYTHONHASHSEED": "0"}


def counts(out: Path, kind: str) -> Counter[str]:
    """How often each step was trained, or each chat asked, over all processes that worked on `out`."""
    lines = Path(f"{out}.counts").read_text().splitlines()
    return Counter(line for line in lines if line.startswith(kind))


def run(checkpoint: Path, out: Path) -> list[dict[str, object]]:
    """Run to the end and return the metrics of each task."""
    process = subprocess.run(command(checkpoint, out), capture_output=True, text=True, check=True, env=environment(out))
    return [summary["metrics"] for summary in json.loads(process.stdout)]


def kill_when(checkpoint: Path, out: Path, pattern: str) -> None:
    """Start a run in a process group of its own and end it as soon as a path appears."""
    process = subprocess.Popen(
        command(checkpoint, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(out),
    )

    deadline = time.monotonic() + 300
    while not list(out.glob(pattern)):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"{pattern} never appeared"
        time.sleep(0.01)

    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(out.glob("LaMP-*/result.json"))


def adapter(out: Path) -> bytes:
    (file,) = out.glob(f"fits/*/checkpoint/adapter/{ADAPTER_FILE}")
    return file.read_bytes()


def test_a_killed_training_ends_like_an_uninterrupted_one(tiny_checkpoint: Path, tmp_path: Path) -> None:
    uninterrupted, in_sft, in_grpo = (tmp_path / name for name in ("uninterrupted", "in-sft", "in-grpo"))
    metrics = run(tiny_checkpoint, uninterrupted)
    kill_when(tiny_checkpoint, in_sft, "fits/*/work/sft/work/checkpoint-20/trainer_state.json")
    kill_when(tiny_checkpoint, in_grpo, "fits/*/work/grpo/work/checkpoint-2/trainer_state.json")
    drafts_before = {file: file.read_bytes() for file in in_grpo.glob("drafts/*.jsonl")}
    (sft_folder,) = in_grpo.glob("fits/*/work/sft/adapter")
    sft_adapter = (sft_folder / ADAPTER_FILE).read_bytes()

    calls, steps = counts(uninterrupted, "call"), counts(uninterrupted, "step")
    assert set(steps.values()) == {1}
    for out in (in_sft, in_grpo):
        assert run(tiny_checkpoint, out) == metrics
        assert adapter(out) == adapter(uninterrupted)
        assert counts(out, "call") == calls, "a finished call was made again"
        assert counts(out, "step").keys() == steps.keys()

    repeated_sft, repeated_grpo = counts(in_sft, "step") - steps, counts(in_grpo, "step") - steps
    assert all(step.startswith("step SFT") and int(step.split()[2]) > 20 for step in repeated_sft)
    assert all(step.startswith("step GRPO") and int(step.split()[2]) > 2 for step in repeated_grpo)
    for repeated in (repeated_sft, repeated_grpo):
        assert repeated.total() <= 2, "more was lost than lies between two checkpoints"

    assert adapter(in_grpo) != sft_adapter, "the second stage changed nothing"
    for file, before in drafts_before.items():
        assert file.read_bytes().startswith(before), "a finished draft was made again"
