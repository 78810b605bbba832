"""`rpobench import`: predictions made elsewhere, in the official file form, as a run like any other."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.data.dataset import DataSet
    from rpobench.spec import RunSpec

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
    from rpobench.data.sources import Source
    from rpobench.registry import get_task
    from rpobench.scoring import read_answers
    from rpobench.spec import RunSpec

    answers = read_answers(task, "preds", preds)
    if not name.strip():
        raise RpobenchError("--name: is empty, say what the row is called")
    judge, source = get_task(task), Source(data, split, scored=limit)
    if source.made_here:
        source = replace(source, scored=limit or len(answers))
    held = source.scored_on(judge)
    spec = RunSpec(
        task=f"{judge.name}@{judge.version}",
        data=source.spec(held, limit),
        method=name.strip(),
        version="imported",
        config={},
        base_model=base_model,
        seed=seed,
    )
    folder = write_import(out, spec, held, answers, preds)
    world = f" world {spec.data.seed}" if source.made_here else ""  # worlds of two versions have the same ids
    print(f"scored on {spec.data.source}{world}, {split}", file=sys.stderr)
    print(folder)


def write_import(out: Path, spec: RunSpec, data: DataSet, answers: dict[str, str], preds: Path) -> Path:
    """Score the answers, by example id, and write them as a finished run; its folder.

    Raises RpobenchError where the ids are not those of the data, and where the name already has other predictions.
    """
    from rpobench.environment import environment
    from rpobench.registry import get_task
    from rpobench.runner import prompts, score
    from rpobench.store import (
        SCHEMA_VERSION,
        ResultStore,
        append_predictions,
        claim,
        packed_twin,
        read_predictions,
        write_json,
    )

    wanted = {one.example.id for one in data.labelled}
    for lacking, what in ((wanted - answers.keys(), "lacks"), (answers.keys() - wanted, "has an unknown")):
        if lacking:
            raise RpobenchError(f"{preds}: {what} id {min(lacking)!r} ({len(lacking)} in all): use --data and --limit")
    task, folder = get_task(data.task), ResultStore(out).run_folder(spec)
    made = {key: Prediction(key, answers[key], answers[key]) for key in (one.example.id for one in data.labelled)}
    scored = score(task, data, made)
    for metric, value in scored["metrics"].items():
        if not math.isfinite(value):
            raise RpobenchError(f"{preds}: the {metric} of its outputs is {value}: one of them is too large a number")
    if (folder / "result.json").exists():
        if read_predictions(folder / "predictions.jsonl") != made:
            raise RpobenchError(f"{folder}: holds other predictions of that name: choose another --name or --seed")
        return folder
    claim(folder, spec)
    held = folder / "predictions.jsonl"
    for left in (held, packed_twin(held)):  # by an import that was killed
        left.unlink(missing_ok=True)
    append_predictions(held, list(made.values()))
    write_json(folder / "environment.json", environment(data_sha256=data.sha256, prompt_sha256=prompts(task, data)))
    result = scored | {
        "seconds": 0.0, "fit_seconds": None, "texts": data.synthetic or not task.licensed, "schema": SCHEMA_VERSION,
        "synthetic": data.synthetic, "imported": True,
    }  # fmt: skip
    write_json(folder / "result.json", result)
    return folder
