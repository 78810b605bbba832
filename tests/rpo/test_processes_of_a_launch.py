"""Two CPU processes, as `accelerate launch` starts them, train what one process trains. (gloo; some 30 s a launch.)"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from rpobench.store.processes import divide_batch
from rpobench.types import RpobenchError

LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]

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

def by_place(completions, log_metric, **columns):
    log_metric("parse_rate", 1.0)
    with open(os.environ["COUNTS"], "a") as file:
        file.write(f"{os.environ['RANK']} {len(completions)}\\n")
    return [float(place % 2) for place in range(len(completions))]

def in_float64(checkpoint):
    return AutoModelForCausalLM.from_pretrained(str(checkpoint), dtype=torch.float64, use_safetensors=True)

rpobench.rpo.training.arguments.mixed_precision = lambda: False
rpobench.rpo.training.policy.load_base = in_float64
rpobench.rpo.training.grpo.make_reward = lambda tasks, form: by_place
main()
"""


def trained(start: list[str], checkpoint: Path, out: Path, *more: str, **environment: str) -> dict[str, Any]:
    """What `run --json` printed, started so with `CODE`."""
    script = out.with_suffix(".py")
    script.write_text(CODE)
    settings = [f"reflection_model=hf:{checkpoint}", "sft_epochs=2", "sft_batch=4", "lora_rank=2", "k=1",
                "max_new_tokens=4", *more]  # fmt: skip
    given = [word for pair in settings for word in ("--set", pair)]
    done = subprocess.run(
        [sys.executable, *start, str(script), "run", "--method", "rpo", "--task", "LaMP-7", "--limit", "8",
         "--no-swap", "--json", "--base-model", "scripted:echo", "--out", str(out), *given],
        capture_output=True, text=True, env={**os.environ, "RPOBENCH_SCRIPTED_LOG": str(out) + ".calls", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)  # by one process alone
    return dict(one)


def checkpoint_of(out: Path) -> Path:
    (found,) = (out / "fits").glob("*/checkpoint")
    return found


def log(out: Path, stage: str) -> list[dict[str, float]]:
    entries = [json.loads(line) for line in (checkpoint_of(out) / f"{stage}.jsonl").read_text().splitlines()]
    return [entry for entry in entries if "loss" in entry]


@pytest.mark.slow
@pytest.mark.alone  # two processes of torch
def test_two_processes_see_the_batches_of_one_and_end_with_its_adapter(tiny_checkpoint: Path, tmp_path: Path) -> None:
    outs = {name: tmp_path / name for name in ("one", "two")}
    alone = trained([], tiny_checkpoint, outs["one"], "rl=none", "validation=0")
    both = trained(LAUNCH, tiny_checkpoint, outs["two"], "rl=none", "validation=0")
    assert both["run"] == alone["run"] and both["n"] == 8
    steps = {name: log(out, "sft") for name, out in outs.items()}
    tokens = {name: [entry["num_input_tokens_seen"] for entry in own] for name, own in steps.items()}
    assert tokens["two"] == tokens["one"] and len(tokens["one"]) == 4
    losses = [[entry["loss"] for entry in own] for own in steps.values()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6), "the log keeps them in float32"
    first, second = (load_file(checkpoint_of(out) / "adapter" / "adapter_model.safetensors") for out in outs.values())
    moved = max(float(weight.abs().max()) for name, weight in first.items() if "lora_B" in name)  # from zero
    apart = max(float((first[name] - second[name]).abs().max()) for name in first)
    assert apart < 1e-9 * moved
    calls = (tmp_path / "two.calls").read_text().splitlines()
    assert len(calls) == 16, "one process drafts: 8 training examples and 8 scored ones"
    assert (outs["two"] / both["run"] / "predictions.jsonl").read_text().count("\n") == 8
    assert {path.name for path in checkpoint_of(outs["two"]).parent.iterdir()} == {
        "checkpoint",
        "fit.json",
        "spec.json",
    }


@pytest.mark.slow
@pytest.mark.alone  # two processes of torch
def test_grpo_and_its_evaluations_are_shared_out(tiny_checkpoint: Path, tmp_path: Path) -> None:
    counts = tmp_path / "counts"
    rl = ("rl=grpo", "rl_steps=1", "rl_prompts=2", "rl_group=2", "validation=0.25", "rl_learning_rate=0.01")
    trained(LAUNCH, tiny_checkpoint, tmp_path / "out", *rl, COUNTS=str(counts))
    (step,) = (entry for entry in log(tmp_path / "out", "grpo") if "reward" in entry)
    assert step["reward"] == 0.5 and step["frac_reward_zero_std"] == 0 and step["grad_norm"] > 0
    told = Counter(tuple(line.split()) for line in counts.read_text().splitlines())
    assert told["0", "2"] == told["1", "2"] == 1, "each process completes and scores one of the two groups"
    assert told["0", "1"] == told["1", "1"] == 2, "and one of two held-out prompts, before and after"


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert divide_batch(3, "sft_batch") == 3
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert divide_batch(4, "sft_batch") == 2
    with pytest.raises(RpobenchError, match="--set sft_batch=3: cannot be divided among 2 processes"):
        divide_batch(3, "sft_batch")


def spoken(rank: str, *arguments: str) -> tuple[str, str]:
    """stdout and stderr of the command in the process of this rank."""
    code = "import sys; from rpobench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ, "RANK": rank}
    )
    return done.stdout, done.stderr


def test_only_the_first_process_speaks_but_every_one_names_its_fault() -> None:
    assert "LaMP-1" in spoken("0", "list", "tasks")[0] and spoken("1", "list", "tasks") == ("", "")
    assert spoken("0", "list", "nothing") == spoken("1", "list", "nothing")
    assert spoken("1", "list", "nothing")[1].startswith("rpobench: list nothing: choose one of")
