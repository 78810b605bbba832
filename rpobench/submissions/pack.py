"""Finished runs in the form in which they are committed: a packed set of Parquet files, without weights and drafts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rpobench.registry import get_task
from rpobench.scoring.result import is_licensed
from rpobench.store.files import read_json
from rpobench.store.locks import locked
from rpobench.store.packed_runs import PackedFit, PackedRun, write_packed
from rpobench.store.predictions import read_records
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import FIT_COST, StoredRun
from rpobench.submissions.check import check_run
from rpobench.submissions.scores_only import withhold_texts
from rpobench.types import UNSCORED, RpobenchError


@dataclass(frozen=True)
class PackOutcome:
    """What became of one run that was to be packed.

    Attributes:
        name: The run.
        reason: Why it was left out; None where it is packed.
        is_fault: Whether it was left out because something is wrong with it, not because it is private or unfinished.
        note: What is to be known of a run that is packed; None where there is nothing.
    """

    name: str
    reason: str | None = None
    is_fault: bool = False
    note: str | None = None


@dataclass
class PackedSet:
    """The runs and fits of a packed set, while runs are added.

    Attributes:
        target: The folder of the set.
        runs: The runs by name, with their lines.
        fits: The fits by digest.
    """

    target: ResultStore
    runs: dict[str, PackedRun] = field(default_factory=dict)
    fits: dict[str, PackedFit] = field(default_factory=dict)

    @classmethod
    def read(cls, target: ResultStore) -> PackedSet:
        """Read the set that stands in a folder; it is empty where there is none.

        Raises:
            RpobenchError: A run in it is not in order, so that nothing can be added.
        """
        packed = target.packed
        for name in packed.runs:
            packed.load(name)

        runs = {name: replace(run, lines=packed.lines(name)) for name, run in packed.runs.items()}
        return cls(target, runs, dict(packed.fits))

    def add(self, run: PackedRun, fit: PackedFit | None) -> None:
        """Add a run with its fit.

        A run that is there already is left as it is, but takes over a mark that its texts are not to be shown, and
        loses them where they are withheld now.

        Args:
            run: The run, with its lines.
            fit: Its fit; None where it trained nothing, or came without its fit.

        Raises:
            RpobenchError: Something else has the name of the run or of the fit.
        """
        folder = self.target.root / run.name
        if folder.exists():
            raise RpobenchError(f"{folder}: holds another result, or an unfinished one, of this spec: move it away")
        if fit is not None:
            self._add_fit(fit)

        existing = self.runs.get(run.name)
        if existing is None:
            self.runs[run.name] = run
            return
        if not _is_same_result(existing, run):
            raise RpobenchError(f"{folder}: another result of this spec is packed: take it out, or leave this one out")

        if _is_scores_only(run) and not _is_scores_only(existing):
            existing = self.runs[run.name] = withhold_texts(existing)
        if existing.result["texts"] and not run.result["texts"]:
            self.runs[run.name] = replace(existing, result={**existing.result, "texts": False})

    def _add_fit(self, fit: PackedFit) -> None:
        folder = self.target.fit_folder(fit.digest)
        existing = self.fits.get(fit.digest)

        is_other_training = existing is not None and (existing.spec, existing.cost) != (fit.spec, fit.cost)
        if is_other_training or folder.exists():
            raise RpobenchError(f"{folder}: holds another training of this fit: move it away, or leave its runs out")

        self.fits.setdefault(fit.digest, fit)


def _is_scores_only(run: PackedRun) -> bool:
    return run.result.get("scores_only") is True


def _is_same_result(first: PackedRun, second: PackedRun) -> bool:
    """Whether two packings of a run have the same numbers; which texts there are does not count."""
    if _is_scores_only(first) or _is_scores_only(second):
        first, second = withhold_texts(first), withhold_texts(second)

    return {**first.result, "texts": None} == {**second.result, "texts": None}


def pack_runs(
    source: ResultStore, names: Sequence[str], target: ResultStore, *, scores_only: bool = False
) -> Iterator[PackOutcome]:
    """Add finished runs to a packed set.

    Args:
        source: Where the runs are; it may be a packed set itself.
        names: Names or digests of the runs; all runs where there is none.
        target: The folder of the packed set, which need not exist.
        scores_only: Whether every text is left out, as it always is of data whose manifest says so.

    Yields:
        What became of each run. The set is written after the last.

    Raises:
        RpobenchError: A name means no run, or there is none at all.
    """
    folders = _find_folders(source, names)
    with locked(target.root):
        packed_set = PackedSet.read(target)
        for folder in folders:
            try:
                reason = _find_reason_to_leave_out(source, folder, packed_set, scores_only=scores_only)
                if reason is not None:
                    yield PackOutcome(folder.name, reason)
                    continue

                run = source.find(folder.name)
                withholds = scores_only or run.result.withhold_texts
                packed_set.add(*_read_run(source, run, withholds=withholds))
                yield PackOutcome(run.name, note=_describe(run, withholds=withholds or run.result.scores_only))
            except RpobenchError as error:
                yield PackOutcome(folder.name, str(error), is_fault=True)

        if packed_set.runs:
            write_packed(target.root, list(packed_set.runs.values()), list(packed_set.fits.values()))


def _find_folders(source: ResultStore, names: Sequence[str]) -> list[Path]:
    if names:
        return [source.find_folder(name) for name in names]

    run_names = source.list_names()
    if not run_names:
        raise RpobenchError(f"--runs {source.root}: no run in it: give the --out of `rpobench run`")
    return [source.root / name for name in run_names]


def _describe(run: StoredRun, *, withholds: bool) -> str | None:
    """What is to be known of a packed run, in words; None where there is nothing."""
    notes = ["texts withheld"] if withholds else []
    if run.unanswered_note:
        notes.append(run.unanswered_note)
    return ", ".join(notes) or None


def _find_reason_to_leave_out(
    source: ResultStore, folder: Path, packed_set: PackedSet, *, scores_only: bool
) -> str | None:
    """Say why a run is not to be committed; None where it is.

    Raises:
        RpobenchError: It is not in order.
    """
    if (folder / "spec.json").exists() and not (folder / "result.json").exists():
        return "not finished"

    report = check_run(source, folder.name)
    if report.faults:
        raise RpobenchError(report.faults[0])

    run = source.find(folder.name)
    task = get_task(run.task_name)
    asked_again = [answer for answer in run.predictions().values() if answer.unanswered and not answer.permanent]
    if not run.is_scored:
        return f"{UNSCORED}: `rpobench export` makes a submission of it"
    if asked_again:
        return f"{len(asked_again)} examples have no answer: the command that made it asks them again"
    if scores_only or run.result.withhold_texts or run.result.scores_only:
        return None  # no text goes along

    if is_licensed(task, run.result):
        return f"its predictions hold texts of {task.name}'s licensed data"
    # One that is in the set already takes the mark over.
    if not run.result.texts and run.name not in packed_set.runs:
        return "made with --no-text, and its predictions hold texts"

    return None


def _read_run(source: ResultStore, run: StoredRun, *, withholds: bool) -> tuple[PackedRun, PackedFit | None]:
    """Read a run and what its fit says of itself, in the form in which they are packed."""
    if run.spec.fit and not run.spec.fit.isalnum():
        raise RpobenchError(f"{run.folder / 'spec.json'}: fit {run.spec.fit!r} is no digest, so it names no folder")

    if run.name in source.packed.runs:
        packed = source.packed
        packed_run = replace(packed.runs[run.name], lines=packed.lines(run.name))
        fit = packed.fits.get(run.spec.fit) if run.spec.fit else None
    else:
        packed_run, fit = _read_folder(run.folder), _read_fit(run)

    if withholds:
        packed_run = withhold_texts(packed_run)
    _check_text(run.folder, packed_run.lines)
    return packed_run, fit


def _read_folder(folder: Path) -> PackedRun:
    return PackedRun(
        name=folder.name,
        spec=read_json(folder / "spec.json"),
        environment=read_json(folder / "environment.json"),
        result=read_json(folder / "result.json"),
        lines=list(read_records(folder / "predictions.jsonl")),
    )


def _check_text(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Refuse half characters (lone surrogates), which are no text and have no place in a Parquet file."""
    try:
        json.dumps(lines, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RpobenchError(f"{folder}: a prediction holds half a character: it cannot be packed") from error


def _read_fit(run: StoredRun) -> PackedFit | None:
    """Read a fit's spec, cost and training logs; weights are left out, and trajectories, which quote training data."""
    if run.fit_folder is None or run.fit_spec is None:
        return None  # a run may have come without its fit

    logs = {}
    for file in sorted((run.fit_folder / "checkpoint").glob("*.jsonl")):
        entries = _parse_training_log(file.read_bytes())
        if entries is not None:
            logs[file.stem] = entries

    cost_file = run.fit_folder / FIT_COST
    cost = read_json(cost_file) if cost_file.exists() else None
    return PackedFit(run.fit_folder.name, read_json(run.fit_folder / "spec.json"), cost, logs)


def _parse_training_log(content: bytes) -> list[Mapping[str, Any]] | None:
    """Parse the lines of a training log; None for a file of anything but numbers by step, since it may quote a text."""
    try:
        entries = [json.loads(line) for line in content.split(b"\n") if line.strip()]
    except (ValueError, RecursionError):
        return None
    return entries if all(map(_is_log_entry, entries)) else None


def _is_log_entry(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or "step" not in entry:
        return False
    return all(value is None or isinstance(value, int | float) for value in entry.values())
