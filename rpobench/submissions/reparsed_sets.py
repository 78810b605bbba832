"""Reads all runs of a folder or of a packed set once more, and puts each in the place of what it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rpobench.runs.removal import put_rest_aside
from rpobench.store.files import read_json, write_json, write_text
from rpobench.store.locks import locked
from rpobench.store.packed_runs import PackedRun, write_packed
from rpobench.store.predictions import packed_path, read_records
from rpobench.store.result_store import ResultStore
from rpobench.store.whole_folder import whole_folder
from rpobench.submissions.reparse import CannotReparse, Reparsed, is_current, leave, reparse_run
from rpobench.types import RpobenchError

PREDICTIONS = "predictions.jsonl"


def reparse_runs(root: Path, *, data: str | None = None, dry_run: bool = False) -> Iterator[Reparsed]:
    """Read every run again that an earlier version of its task read.

    Args:
        root: A folder of runs, or of a packed set.
        data: The official folder, for runs that are not on synthetic data.
        dry_run: Whether to tell only what would move.

    Yields:
        What became of each run, by name. Runs that were read by today's version are passed over.

    Raises:
        RpobenchError: There is no run at all.
    """
    store = ResultStore(root)
    if not dry_run:
        put_rest_aside(store)
    folders = sorted(file.parent for file in root.glob("*/spec.json"))
    if not folders and not store.packed.runs:
        raise RpobenchError(f"{root}: no run in it: give the --out of `rpobench run`, or the folder of a packed set")

    for folder in folders:
        yield from _reparse_folder(folder, data, dry_run=dry_run)
    if store.packed.runs:
        yield from _reparse_packed(store, data, dry_run=dry_run)


def _reparse_folder(folder: Path, data: str | None, *, dry_run: bool) -> Iterator[Reparsed]:
    """Write the run beside, then remove it under its old name."""
    with nullcontext() if dry_run else locked(folder):
        try:
            run, is_finished = _read_folder(folder)
            if is_current(run.spec):
                return
            new_run, report = reparse_run(run, is_finished=is_finished, data=data)

            target = folder.with_name(new_run.name)
            is_interrupted = target.exists() and _comes_from(target, folder)
            if target.exists() and not is_interrupted:
                raise CannotReparse(f"{target.name} is there already: move one of them away")
            if not dry_run:
                if not is_interrupted:
                    _write_folder(folder, target, new_run, is_finished=is_finished)
                shutil.rmtree(folder)
            yield report
        except RpobenchError as error:
            yield leave(folder.name, error)


def _read_folder(folder: Path) -> tuple[PackedRun, bool]:
    """A run in a folder, and whether it is finished."""
    is_finished = (folder / "result.json").exists()
    result = read_json(folder / "result.json") if is_finished else {}
    environment_file = folder / "environment.json"
    environment = read_json(environment_file) if environment_file.exists() else {}

    lines = list(read_records(folder / PREDICTIONS))
    return PackedRun(folder.name, read_json(folder / "spec.json"), environment, result, lines), is_finished


def _comes_from(target: Path, folder: Path) -> bool:
    """Whether a kill left the run under both names."""
    environment = target / "environment.json"
    note = read_json(environment).get("reparsed") if environment.exists() else None
    return isinstance(note, dict) and note.get("run") == folder.name


def _write_folder(folder: Path, target: Path, run: PackedRun, *, is_finished: bool) -> None:
    """Copy the run's folder with everything that is in it, and write what moved."""
    with whole_folder(target) as aside:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        packed_path(aside / PREDICTIONS).unlink(missing_ok=True)

        lines = [json.dumps(line, ensure_ascii=True) + "\n" for line in run.lines]
        write_text(aside / PREDICTIONS, "".join(lines))
        write_json(aside / "spec.json", run.spec)
        write_json(aside / "environment.json", run.environment)
        if is_finished:
            write_json(aside / "result.json", run.result)


def _reparse_packed(store: ResultStore, data: str | None, *, dry_run: bool) -> Iterator[Reparsed]:
    """Read the runs of a packed set again, and write the set whole."""
    with nullcontext() if dry_run else locked(store.root):
        packed = store.packed
        runs = {name: replace(run, lines=packed.lines(name)) for name, run in packed.runs.items()}
        names = [name for name, run in runs.items() if not is_current(run.spec)]

        for name in names:
            try:
                new_run, report = reparse_run(runs[name], is_finished=True, data=data)
                if new_run.name in runs:
                    raise CannotReparse(f"{new_run.name} is there already: take one of them out")
                del runs[name]
                runs[new_run.name] = new_run
                yield report
            except RpobenchError as error:
                yield leave(name, error)

        if names and not dry_run:
            write_packed(store.root, list(runs.values()), list(packed.fits.values()))
