"""`rpobench data synth`: the synthetic world as an official folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rpobench.types import RpobenchError


def synth(
    out: Annotated[Path, typer.Option(help="The folder to write: LaMP_3/dev_questions.json and the like.")],
    task: Annotated[str, typer.Option(help="Names, comma-separated, or all (LaMP-1 to LaMP-7).")] = "all",
    split: Annotated[str, typer.Option(help="train, dev, test; several comma-separated.")] = "dev",
    n: Annotated[int, typer.Option("--n", min=1, help="Examples of each task and split.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which world; --data synth:SEED is the same.")] = 0,
) -> None:
    """Write the synthetic world in LaMP's form; files that stand already are never overwritten."""
    from rpobench.data.official.folder import is_world_name
    from rpobench.data.official.writer import write_official
    from rpobench.data.synth.world import MECHANISMS, generate
    from rpobench.terminal import show_progress

    if is_world_name(out.resolve().name):
        raise RpobenchError(f"--out {out}: --data {out.resolve().name} means the world itself: choose another name")

    tasks = list(MECHANISMS) if task == "all" else [name.strip() for name in task.split(",")]
    splits = [name.strip() for name in split.split(",")]

    with show_progress("synth", len(tasks) * len(splits)) as advance:
        for task_name in tasks:
            for split_name in splits:
                write_official(generate(task_name, split_name, n, seed=seed), out)
                advance(1)
