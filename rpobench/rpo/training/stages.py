"""The training of a module from labelled examples to its adapter: rows, trajectories, stage 1, stage 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rpobench.method.context import FitContext
from rpobench.rpo.config import ModuleConfig, RPOConfig
from rpobench.rpo.context_window import Room, checkpoint_room
from rpobench.rpo.form import Form
from rpobench.rpo.module_input import training_rows
from rpobench.rpo.rows import TrainingRow
from rpobench.rpo.training.best_adapter import held_out_users
from rpobench.rpo.training.common import finished_stage
from rpobench.rpo.training.dpo import train_dpo
from rpobench.rpo.training.grpo import grpo_notes, train_grpo
from rpobench.rpo.training.sft import Written, sft_rows, train_sft, trainable
from rpobench.rpo.trajectories.file import read_trajectories, store_trajectories
from rpobench.rpo.trajectories.rule_writer import TrajectoryWriter
from rpobench.store.files import write_json
from rpobench.store.processes import first_goes_first
from rpobench.task.contract import Task
from rpobench.types import Labelled, Usage

USAGE = "usage.json"  # beside the trajectories: what writing them took


def train_stages(
    train: Mapping[Task, Sequence[Labelled]],
    form: Form,
    config: ModuleConfig,
    checkpoint: Path,
    ctx: FitContext,
    writer: TrajectoryWriter,
    trajectories: Path,
) -> Path:
    """The adapter after all stages; the trajectories are stored in a file. Continues in `ctx.folder` after a kill."""
    room = checkpoint_room(checkpoint)
    with first_goes_first():
        rows = training_rows(train, ctx, form, config, room)
        pairs = _pairs(rows, form, room, writer, trajectories)
    held = held_out_users((row.example.user_id for row, _ in pairs), share=config.validation, seed=ctx.seed)
    seen = [pair for pair in pairs if pair[0].example.user_id not in held]
    unseen = [pair for pair in pairs if pair[0].example.user_id in held]
    validation = sft_rows(unseen, form, held_out=True) if unseen else None
    adapter = finished_stage(
        ctx.folder / "sft",
        lambda work: train_sft(sft_rows(seen, form), validation, checkpoint, work, config, seed=ctx.seed),
    )
    return _refined(adapter, seen, unseen, form, config, checkpoint, ctx)


def _pairs(rows: Sequence[TrainingRow], form: Form, room: Room, writer: TrajectoryWriter, file: Path) -> list[Written]:
    """Every row that can be learned from with its trajectory; what was written before a kill is not written again."""
    if not file.exists():
        written = list(map(form.kept, writer.write(rows)))
        write_json(file.with_name(USAGE), asdict(writer.usage))  # first: a kill must not lose what they cost
        store_trajectories(file, trainable(list(zip(rows, written, strict=True)), form, room))
    return [(row, one) for row, one in zip(rows, read_trajectories(file, rows), strict=True) if one]


def writing_usage(folder: Path) -> Usage | None:
    """What a model was asked to write the trajectories of the fit in `folder`; None where none was, or where an earlier
    version, which kept no count, had written them before a kill."""
    file = folder / USAGE
    usage = Usage(**json.loads(file.read_text())) if file.exists() else Usage()
    return usage if usage.calls else None


def _refined(
    start: Path,
    seen: Sequence[Written],
    unseen: Sequence[Written],
    form: Form,
    config: ModuleConfig,
    checkpoint: Path,
    ctx: FitContext,
) -> Path:
    """Stage 2 from the stage-1 adapter `start`, if the config asks for one."""
    if isinstance(config, RPOConfig) and config.rl == "dpo":
        return finished_stage(
            ctx.folder / "dpo",
            lambda work: train_dpo(seen, unseen, form, checkpoint, start, work, config, seed=ctx.seed),
        )
    if config.rl == "none":
        return start
    rows, held_out = [row for row, _ in seen], [row for row, _ in unseen]
    adapter = finished_stage(
        ctx.folder / "grpo",
        lambda work: train_grpo(rows, held_out, form, checkpoint, start, work, config, seed=ctx.seed),
    )
    for note in grpo_notes(adapter, steps=config.rl_steps):
        print(note, file=sys.stderr)
    return adapter
