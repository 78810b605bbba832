"""`rpobench import`: predictions made elsewhere as a run like any other."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpobench.types import UNSCORED, RpobenchError

if TYPE_CHECKING:
    from rpobench.data.sources import Source
    from rpobench.store.stored_run import StoredRun

ELSEWHERE = "made elsewhere"  # the base model where nobody says which


def import_(
    preds: Annotated[Path, typer.Option(help="Predictions: the official form, a zip of it, {id: text}, or JSONL.")],
    name: Annotated[str, typer.Option(help="What the row is called.")],
    task: Annotated[str | None, typer.Option(help="The task, such as LaMP-3; --like says it too.")] = None,
    like: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take task, data, split and base model from this run.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="synth, synth:SEED, synth-v1:SEED (an older version), or an official folder. [default: synth]"
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, dev or test. [default: dev]")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As in the runs to compare with.")] = None,
    base_model: Annotated[
        str | None, typer.Option(help=f"Identity of the base model; rows share a table by it. [default: {ELSEWHERE}]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The seed they were made with.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
) -> None:
    """Predictions made elsewhere as a run: scored as they are, compared and reported like others, marked imported."""
    from rpobench.registry import get_task
    from rpobench.scoring.official import read_answers
    from rpobench.submissions.imported import make_import_spec, write_import

    model_run = _find_model_run(out, like) if like is not None else None
    task_name = _choose_task(task, model_run)
    answers = read_answers(task_name, "preds", preds)
    method = name.strip()
    if not method:
        raise RpobenchError("--name: is empty, say what the row is called")

    lamp_task = get_task(task_name)
    if model_run is not None:
        _refuse_with_like({"--split": split, "--limit": limit})
        source = _restore_source(model_run, data)
        limit = model_run.spec.data.limit
    else:
        source = _open_source(data or "synth", split or "dev", limit, len(answers))

    data_set = source.load_scored(lamp_task)
    data_spec = source.spec(data_set, limit)
    if model_run is not None and data_spec.sha256 != model_run.spec.data.sha256:
        raise RpobenchError(f"--like {like}: {source.data} holds other examples than that run's: give its --data")

    base_model = base_model or (model_run.spec.base_model if model_run else ELSEWHERE)
    spec = make_import_spec(method, base_model, seed, data_set, data_spec)
    folder = write_import(out, spec, data_set, answers, preds)

    world = f" world {spec.data.seed}" if source.is_generated else ""  # worlds of two versions have the same ids
    data_name = f"{spec.data.source}{world}, {data_set.split}"
    print(f"scored on {data_name}" if data_set.has_targets else f"{data_name}: {UNSCORED}", file=sys.stderr)
    print(folder)


def _find_model_run(out: Path, like: str) -> StoredRun:
    """Find the run of `--like`: a name in the folder of runs, or the path of a run in another."""
    from rpobench.store.result_store import ResultStore

    path = Path(like)
    is_path = path.parent != Path()
    return ResultStore(path.parent if is_path else out).find(path.name if is_path else like)


def _choose_task(task: str | None, model_run: StoredRun | None) -> str:
    if model_run is None:
        if task is None:
            raise RpobenchError("--task: is not given; name the task, or a run to be like with --like RUN")
        return task

    if task not in (None, model_run.task_name):
        raise RpobenchError(f"--task {task}: {model_run.name} is of {model_run.task_name}; leave it out beside --like")
    return model_run.task_name


def _refuse_with_like(values: dict[str, str | int | None]) -> None:
    for option, value in values.items():
        if value is not None:
            raise RpobenchError(f"{option} {value}: --like takes it from the run; leave one of the two out")


def _restore_source(model_run: StoredRun, data: str | None) -> Source:
    """Open the data of the run; a folder is found by `--data`, since a run does not know where it lies."""
    from rpobench.data.sources import restore_source

    source = restore_source(model_run.spec.data, model_run.result.n, data)
    if data is not None and source.is_generated:
        raise RpobenchError(f"--data {data}: --like takes it from the run; leave one of the two out")
    return source


def _open_source(data: str, split: str, limit: int | None, answer_count: int) -> Source:
    """Open the data that was answered; a world makes as many examples as there are answers unless --limit says."""
    from rpobench.data.sources import Source

    source = Source(data, split, scored_limit=limit)
    return replace(source, scored_limit=limit or answer_count) if source.is_generated else source
