"""The training of a module, top to bottom: rows, trajectories, SFT, then GRPO or DPO, and the adapter that results.

Follows RPO (arXiv 2511.05286): supervised fine-tuning on structured rewriting trajectories, then a stage that refines
the rewrite. Each stage leaves its adapter in a folder of its own and is not repeated after a kill.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rpobench.method.context import FitContext
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.module_input import build_training_rows
from rpobench.rpo.training.best_adapter import choose_held_out_users
from rpobench.rpo.training.dpo import train_dpo
from rpobench.rpo.training.grpo import train_grpo
from rpobench.rpo.training.grpo_notes import write_grpo_notes
from rpobench.rpo.training.job import TrainingData, TrainingJob
from rpobench.rpo.training.sft import train_sft
from rpobench.rpo.training.sft_data import select_learnable
from rpobench.rpo.training.stage import run_stage
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.rpo.trajectories.file import TRAJECTORIES, find_trajectories, store_trajectories
from rpobench.rpo.trajectories.writer import TrajectoryWriter
from rpobench.store.files import write_json
from rpobench.store.processes import first_goes_first
from rpobench.task.contract import Task
from rpobench.types import Labelled, Usage

USAGE = "usage.json"  # beside the trajectories: what writing them took


def train_module(
    job: TrainingJob, labelled_by_task: Mapping[Task, Sequence[Labelled]], context: FitContext, writer: TrajectoryWriter
) -> Path:
    """Train a module from labelled examples.

    Args:
        job: The settings of the training.
        labelled_by_task: The training examples with their targets.
        context: Where drafts and evidence come from.
        writer: Writes the trajectories that stage 1 learns.

    Returns:
        The folder of the adapter after all stages.
    """
    with first_goes_first():
        rows = build_training_rows(labelled_by_task, context, job.input_builder)
        demonstrations = write_demonstrations(job, rows, writer)
    data = split_by_user(job, demonstrations)

    sft_adapter = run_stage(job.folder / "sft", lambda work: train_sft(job, data, work))

    if isinstance(job.config, RPOConfig) and job.config.rl == "dpo":
        return run_stage(job.folder / "dpo", lambda work: train_dpo(job, data, sft_adapter, work))
    if job.config.rl == "none":
        return sft_adapter

    grpo_adapter = run_stage(job.folder / "grpo", lambda work: train_grpo(job, data, sft_adapter, work))
    for note in write_grpo_notes(grpo_adapter, steps=job.config.rl_steps):
        print(note, file=sys.stderr)
    return grpo_adapter


def write_demonstrations(
    job: TrainingJob, rows: Sequence[TrainingRow], writer: TrajectoryWriter
) -> list[Demonstration]:
    """Write a trajectory for every row and store those that can be learned from.

    What was written before a kill is read from the job's folder and not written again.

    Args:
        job: The settings of the training.
        rows: The training rows of all tasks.
        writer: Writes the trajectories.

    Returns:
        The rows that can be learned from with their trajectories, in order.
    """
    file = job.folder / TRAJECTORIES
    if not file.exists():
        trajectories = writer.write(rows)
        write_json(job.folder / USAGE, asdict(writer.usage))  # first: a kill must not lose what they cost

        demonstrations = [
            Demonstration(row, job.form.drop_unwritten_parts(trajectory))
            for row, trajectory in zip(rows, trajectories, strict=True)
            if trajectory
        ]
        store_trajectories(file, select_learnable(demonstrations, job.form, job.window))

    return [
        Demonstration(row, trajectory)
        for row, trajectory in zip(rows, find_trajectories(file, rows), strict=True)
        if trajectory
    ]


def split_by_user(job: TrainingJob, demonstrations: Sequence[Demonstration]) -> TrainingData:
    """Hold out a share of the users, so that checkpoints are chosen by users that training does not see.

    Args:
        job: The settings of the training; `validation` is the share.
        demonstrations: What can be learned from.

    Returns:
        The demonstrations of both groups of users, each in order.
    """
    user_ids = [demonstration.row.example.user_id for demonstration in demonstrations]
    held_out_users = choose_held_out_users(user_ids, share=job.config.validation, seed=job.seed)

    training: list[Demonstration] = []
    held_out: list[Demonstration] = []
    for demonstration in demonstrations:
        group = held_out if demonstration.row.example.user_id in held_out_users else training
        group.append(demonstration)
    return TrainingData(training, held_out)


def read_writing_usage(folder: Path) -> Usage | None:
    """Read what a model was asked to write the trajectories of a fit.

    Args:
        folder: The folder of the training job.

    Returns:
        The usage. None where no model wrote them, or where an earlier version, which kept no count, had written them
        before a kill.
    """
    file = folder / USAGE
    usage = Usage(**json.loads(file.read_text())) if file.exists() else Usage()

    return usage if usage.calls else None
