"""Two CPU processes, as `accelerate launch` starts them, train what one process trains. (gloo; some 30 s a launch.)"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_jobs import ADAPTER_FILE

from rpobench.store.processes import divide_batch
from rpobench.types import RpobenchError

ALONE: list[str] = []
LAUNCHED = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]

# Two processes add in another order than one. Adam divides a gradient by its size, so where one is zero but for
# rounding (float32 has such weights on some processors) that order decides the step: here all is float64. A random
# model never writes a trajectory, so its reward would never vary: here each process notes what it rewards.
CODE = """
import os
import torch
from transformers import AutoModelForCausalLM
import rpobench.rpo.training.arguments
import rpobench.rpo.training.policy
import rpobench.rpo.training.grpo
from rpobench.cli.main import main

def reward_by_position(completions, log_metric, **columns):
    log_metric("parse_rate", 1.0)
    with open(os.environ["COUNTS"], "a") as file:
        file.write(f"{os.environ['RANK']} {len(completions)}\\n")
    return [float(position % 2) for position in range(len(completions))]

def load_in_float64(checkpoint):
    return AutoModelForCausalLM.from_pretrained(str(checkpoint), dtype=torch.float64, use_safetensors=True)

rpobench.rpo.training.arguments.mixed_precision = lambda: False
rpobench.rpo.training.policy.load_base = load_in_float64
rpobench.rpo.training.grpo.make_reward = lambda tasks, form: reward_by_position
main()
"""


@dataclass(frozen=True)
class TrainedRun:
    """What `run --json` printed, and the folder of runs it wrote to."""

    out: Path
    summary: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        (folder,) = (self.out / "fits").glob("*/checkpoint")
        return folder

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return dict(load_file(self.checkpoint / "adapter" / ADAPTER_FILE))

    @property
    def model_calls(self) -> list[str]:
        return calls_file(self.out).read_text().splitlines()

    def steps(self, stage: str) -> list[dict[str, float]]:
        entries = [json.loads(line) for line in (self.checkpoint / f"{stage}.jsonl").read_text().splitlines()]
        return [entry for entry in entries if "loss" in entry]

    def logged(self, stage: str, name: str) -> list[float]:
        return [step[name] for step in self.steps(stage)]


def calls_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.calls")


def run(launcher: list[str], checkpoint: Path, out: Path, *knobs: str, **environment: str) -> TrainedRun:
    """Train and predict with `CODE`, in the processes of the launcher."""
    script = out.with_suffix(".py")
    script.write_text(CODE)
    all_knobs = [f"reflection_model=hf:{checkpoint}", "sft_epochs=2", "sft_batch=4", "lora_rank=2", "k=1",
                 "max_new_tokens=4", *knobs]  # fmt: skip
    options = ["--method", "rpo", "--task", "LaMP-7", "--limit", "8", "--no-swap", "--json",
               "--base-model", "scripted:echo", "--out", str(out)]  # fmt: skip
    for knob in all_knobs:
        options += ["--set", knob]

    process = subprocess.run(
        [sys.executable, *launcher, str(script), "run", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "RPOBENCH_SCRIPTED_LOG": str(calls_file(out)), **environment},
    )

    assert process.returncode == 0, process.stderr
    (summary,) = json.loads(process.stdout)  # by one process alone
    return TrainedRun(out, summary)


@pytest.mark.slow
@pytest.mark.alone  # two processes of torch
def test_two_processes_train_what_one_process_trains(tiny_checkpoint: Path, tmp_path: Path) -> None:
    alone = run(ALONE, tiny_checkpoint, tmp_path / "one", "rl=none", "validation=0")
    together = run(LAUNCHED, tiny_checkpoint, tmp_path / "two", "rl=none", "validation=0")

    assert together.summary["run"] == alone.summary["run"] and together.summary["n"] == 8
    tokens = alone.logged("sft", "num_input_tokens_seen")
    assert together.logged("sft", "num_input_tokens_seen") == tokens and len(tokens) == 4
    losses = alone.logged("sft", "loss")
    assert losses == pytest.approx(together.logged("sft", "loss"), rel=1e-6), "the log keeps them in float32"

    weights, weights_together = alone.weights, together.weights
    distance_trained = max(float(weight.abs().max()) for name, weight in weights.items() if "lora_B" in name)
    difference = max(float((weights[name] - weights_together[name]).abs().max()) for name in weights)
    assert difference < 1e-9 * distance_trained, "these weights start at zero"

    assert len(together.model_calls) == 16, "one process drafts: 8 training examples and 8 scored ones"
    predictions = together.out / together.summary["run"] / "predictions.jsonl"
    assert predictions.read_text().count("\n") == 8
    files_of_fit = {path.name for path in together.checkpoint.parent.iterdir()}
    assert files_of_fit == {"environment.json", "checkpoint", "fit.json", "spec.json"}


@pytest.mark.slow
@pytest.mark.alone  # two processes of torch
def test_grpo_and_its_evaluations_are_shared_out(tiny_checkpoint: Path, tmp_path: Path) -> None:
    counts_file = tmp_path / "counts"
    knobs = ("rl=grpo", "rl_steps=1", "rl_prompts=2", "rl_group=2", "validation=0.25", "rl_learning_rate=0.01")

    trained = run(LAUNCHED, tiny_checkpoint, tmp_path / "out", *knobs, COUNTS=str(counts_file))

    (step,) = (step for step in trained.steps("grpo") if "reward" in step)
    assert step["reward"] == 0.5 and step["frac_reward_zero_std"] == 0 and step["grad_norm"] > 0
    counts = Counter(tuple(line.split()) for line in counts_file.read_text().splitlines())
    assert counts["0", "2"] == counts["1", "2"] == 1, "each process completes and scores one of the two groups"
    assert counts["0", "1"] == counts["1", "1"] == 2, "and one of two held-out prompts, before and after"


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert divide_batch(3, "sft_batch") == 3

    monkeypatch.setenv("WORLD_SIZE", "2")

    assert divide_batch(4, "sft_batch") == 2
    with pytest.raises(RpobenchError, match="--set sft_batch=3: cannot be divided among 2 processes"):
        divide_batch(3, "sft_batch")


@dataclass(frozen=True)
class Output:
    """What a command wrote."""

    stdout: str
    stderr: str


def list_names(kind: str, *, rank: str) -> Output:
    """Run `rpobench list` in the process of this rank."""
    code = "import sys; from rpobench.cli.main import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", code, "list", kind], capture_output=True, text=True, env={**os.environ, "RANK": rank}
    )
    return Output(process.stdout, process.stderr)


def test_only_the_first_process_speaks_but_all_name_their_fault() -> None:
    assert "LaMP-1" in list_names("tasks", rank="0").stdout
    assert list_names("tasks", rank="1") == Output("", "")

    fault = list_names("nothing", rank="1")
    assert list_names("nothing", rank="0") == fault
    assert fault.stderr.startswith("rpobench: list nothing: choose one of")
