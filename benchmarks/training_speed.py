"""Tokens a second of both training stages: rpobench beside a bare trl script with the same settings, in one run.

    python benchmarks/training_speed.py [--model smollm2-135m] [--rows 64] [--steps 4] [--rounds 2] [--data 1,2,4]

The bare script is trl's own trainer on the same rows, adapter, batches, rates and arithmetic, with no checkpoints, no
progress and no signs logged. Every contestant trains in a process of its own; rounds alternate, and the fastest one
counts. `tokens/s` are prompts and completions trained on a second of `train()`, model loading not included; `peak` is
the process's own memory (ru_maxrss). `cpu` is the share of the processor it had: where it is well below 100%, something
else ran and the ratios mean nothing. `--data` also trains stage 1 on so many times the rows: what more data costs.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rpobench.data.synth.world import generate
from rpobench.registry import get_task
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form
from rpobench.rpo.reflection_model import reflection_checkpoint
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.rpo.trajectories.rule_writer import RuleWriter

TASKS = ("LaMP-3", "LaMP-4", "LaMP-7")
EVIDENCE_ITEMS = 3  # profile items in a prompt
DRAFT = {"LaMP-3": "3", "LaMP-4": "The council votes on the bridge", "LaMP-7": "I am tired of the late train"}


def make_training_rows(count: int) -> list[TrainingRow]:
    """Take examples of the synthetic world, tasks in turn, with their first items as evidence."""
    count_by_task = math.ceil(count / len(TASKS))
    data = {name: generate(name, "train", count_by_task) for name in TASKS}

    rows = []
    for position in range(count_by_task):
        for name in TASKS:
            labelled = data[name].labelled[position]
            evidence = labelled.example.profile[:EVIDENCE_ITEMS]
            rows.append(TrainingRow(get_task(name), labelled.example, labelled.target, DRAFT[name], evidence))
    return rows[:count]


def train_sft_by_rpobench(job: TrainingJob, data: TrainingData) -> Any:
    """Train stage 1 as `rpobench run` does, without held-out users."""
    from rpobench.rpo.training.sft import train_sft

    return train_sft(job, data, job.folder / "work")


def train_sft_by_trl(job: TrainingJob, data: TrainingData) -> Any:
    """Train on the same rows with the same settings in trl's own trainer."""
    from trl import SFTConfig, SFTTrainer

    from rpobench.rpo.training.policy import load_tokenizer, new_policy
    from rpobench.rpo.training.sft_data import build_sft_dataset

    config = job.config
    trainer = SFTTrainer(
        model=new_policy(job.checkpoint, rank=config.lora_rank, seed=job.seed),
        args=SFTConfig(
            num_train_epochs=config.sft_epochs,
            per_device_train_batch_size=config.sft_batch,
            learning_rate=config.sft_learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            max_length=None,
            train_sampling_strategy="group_by_length",
            **make_common_settings(job),
        ),
        train_dataset=build_sft_dataset(data.training, job.form),
        processing_class=load_tokenizer(job.checkpoint),
    )
    trainer.train()
    return trainer


def train_grpo_by_rpobench(job: TrainingJob, data: TrainingData) -> Any:
    """Train stage 2 as `rpobench run` does, from an adapter that changes nothing yet, without held-out users."""
    from rpobench.rpo.training.grpo import train_grpo

    return train_grpo(job, data, save_fresh_adapter(job), job.folder / "work")


def train_grpo_by_trl(job: TrainingJob, data: TrainingData) -> Any:
    """Train with the same prompts, reward and settings in trl's own trainer."""
    from trl import GRPOConfig, GRPOTrainer

    from rpobench.rpo.training.curriculum import order_prompts
    from rpobench.rpo.training.grpo import build_grpo_dataset
    from rpobench.rpo.training.policy import load_tokenizer, trained_policy
    from rpobench.rpo.training.reward import make_reward

    config = job.config
    rows = [demonstration.row for demonstration in data.training]
    prompts = order_prompts(rows, steps=config.rl_steps, prompts_per_step=config.rl_prompts, k=config.k, seed=job.seed)
    trainer = GRPOTrainer(
        model=trained_policy(job.checkpoint, save_fresh_adapter(job), seed=job.seed),
        reward_funcs=make_reward({row.task.name: row.task for row in rows}, job.form),
        args=GRPOConfig(
            max_steps=config.rl_steps,
            per_device_train_batch_size=config.rl_group,
            gradient_accumulation_steps=config.rl_prompts,
            num_generations=config.rl_group,
            max_completion_length=config.max_new_tokens,
            shuffle_dataset=False,
            beta=config.rl_beta,
            learning_rate=config.rl_learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=2,
            **make_common_settings(job),
        ),
        train_dataset=build_grpo_dataset(prompts, job.form),
        processing_class=load_tokenizer(job.checkpoint),
    )
    trainer.train()
    return trainer


def make_common_settings(job: TrainingJob) -> dict[str, Any]:
    """Return the settings that both bare scripts take from rpobench: the machine's arithmetic. Nothing is saved."""
    from rpobench.rpo.training.arguments import common_arguments

    arguments = common_arguments(job.folder / "work", report_to="none", seed=job.seed)
    return {**arguments, "save_strategy": "no"}


def save_fresh_adapter(job: TrainingJob) -> Path:
    """Save an adapter before its first step, and return its folder."""
    from rpobench.rpo.training.policy import new_policy

    folder = job.folder / "fresh"
    new_policy(job.checkpoint, rank=job.config.lora_rank, seed=job.seed).save_pretrained(str(folder))
    return folder


CONTESTANTS = {
    "SFT rpobench": train_sft_by_rpobench,
    "SFT bare trl": train_sft_by_trl,
    "GRPO rpobench": train_grpo_by_rpobench,
    "GRPO bare trl": train_grpo_by_trl,
}


def train(name: str, arguments: argparse.Namespace, times: int) -> dict[str, float]:
    """Train once, in this process.

    Args:
        name: A contestant.
        arguments: The options of the command line.
        times: How many times `--rows` it trains on.

    Returns:
        `seconds` of training, `rate` in tokens a second, `mb` of memory at most, and `cpu`, the share of the processor.
    """
    import torch

    config = RPOConfig(sft_epochs=1, rl_steps=arguments.steps)
    checkpoint = reflection_checkpoint(arguments.model)
    rows = make_training_rows(times * arguments.rows)
    demonstrations = [Demonstration(*pair) for pair in zip(rows, RuleWriter().write(rows), strict=True)]
    data = TrainingData(demonstrations)

    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(Form(), config, checkpoint, ContextWindow(), Path(folder), seed=0)
        wall_start, processor_start = time.perf_counter(), time.process_time()
        log = CONTESTANTS[name](job, data).state.log_history
        wall_seconds = time.perf_counter() - wall_start
        processor_seconds = time.process_time() - processor_start

    seconds = next(entry["train_runtime"] for entry in reversed(log) if "train_runtime" in entry)
    tokens = max(max(entry.get(key, 0) for key in ("num_tokens", "num_input_tokens_seen")) for entry in log)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu_share = processor_seconds / wall_seconds / torch.get_num_threads()
    return {"seconds": seconds, "rate": tokens / seconds, "mb": peak, "cpu": cpu_share}


def measure(name: str, times: int) -> dict[str, float]:
    """Run `train` in a new process with the same options, and return its figures."""
    child = [sys.executable, __file__, *sys.argv[1:], "--contestant", name, "--times", str(times)]
    process = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=True)

    figures: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return figures


def parse_arguments() -> argparse.Namespace:
    """Read the options of the command line; `--contestant` and `--times` are those of the processes that train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a local checkpoint, as in reflection_model=")
    parser.add_argument("--rows", type=int, default=64, help="of stage 1")
    parser.add_argument("--steps", type=int, default=4, help="of stage 2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", default="1", help="times the rows, comma-separated; the first is compared with trl")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table and both ratios."""
    arguments = parse_arguments()
    if arguments.contestant:
        print(json.dumps(train(arguments.contestant, arguments, arguments.times)))
        return

    first_times, *more_times = map(int, arguments.data.split(","))
    rounds = [{name: measure(name, first_times) for name in CONTESTANTS} for _ in range(arguments.rounds)]
    best = {}
    for name in CONTESTANTS:
        best[name] = max((figures[name] for figures in rounds), key=lambda figures: figures["rate"])
    for times in more_times:
        best[f"SFT, {times}x the rows"] = measure("SFT rpobench", times)

    print("| | tokens/s | seconds | peak memory, MB | cpu |\n|---|---:|---:|---:|---:|")
    for name, figures in best.items():
        print(f"| {name} | {figures['rate']:.0f} | {figures['seconds']:.1f} | ", end="")
        print(f"{figures['mb']:.0f} | {figures['cpu']:.0%} |")

    for stage in ("SFT", "GRPO"):
        ratio = best[f"{stage} rpobench"]["rate"] / best[f"{stage} bare trl"]["rate"]
        print(f"{stage}: {ratio:.2f} of bare trl (at least 0.95)")


if __name__ == "__main__":
    main()
