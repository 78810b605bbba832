"""`rpobench import`: predictions made elsewhere, in the official file form, as a run like any other."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.data.sources import Source

ELSEWHERE = "made elsewhere"  # the base model where nobody says which


def import_(
    task: Annotated[str, typer.Option(help="The task, such as LaMP-3.")],
    preds: Annotated[Path, typer.Option(help="Predictions in the official form, or a zip that holds them.")],
    name: Annotated[str, typer.Option(help="What the row is called.")],
    data: Annotated[
        str, typer.Option(help="synth, synth:SEED, synth-v1:SEED (an older version), or an official folder.")
    ] = "synth",
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    limit: Annotated[int | None, typer.Option(min=1, help="As in the runs to compare with.")] = None,
    base_model: Annotated[str, typer.Option(help="Identity of the base model; rows share a table by it.")] = ELSEWHERE,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The seed they were made with.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
) -> None:
    """Predictions made elsewhere as a run: scored as they are, compared and reported like others, marked imported."""
    from rpobench.registry import get_task
    from rpobench.scoring.official import read_answers
    from rpobench.submissions.imported import make_import_spec, write_import

    answers = read_answers(task, "preds", preds)
    method = name.strip()
    if not method:
        raise RpobenchError("--name: is empty, say what the row is called")

    lamp_task = get_task(task)
    source = _open_source(data, split, limit, len(answers))
    data_set = source.load_scored(lamp_task)
    spec = make_import_spec(method, base_model, seed, data_set, source.spec(data_set, limit))
    folder = write_import(out, spec, data_set, answers, preds)

    world = f" world {spec.data.seed}" if source.is_generated else ""  # worlds of two versions have the same ids
    print(f"scored on {spec.data.source}{world}, {split}", file=sys.stderr)
    print(folder)


def _open_source(data: str, split: str, limit: int | None, answer_count: int) -> Source:
    """Open the data that was answered; a world makes as many examples as there are answers unless --limit says."""
    from rpobench.data.sources import Source

    source = Source(data, split, scored_limit=limit)
    return replace(source, scored_limit=limit or answer_count) if source.is_generated else source
