"""Official LaMP folders: `DIR/LaMP_3/dev_questions.json` with `dev_outputs.json`, checked record by record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from rpobench.data.dataset import DataSet
from rpobench.data.official.golds import check_targets, official_name, official_names, read_golds, read_json
from rpobench.data.official.mapped import ids_of, labelled_with, select, users_of
from rpobench.data.official.questions import read_questions
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

SPLITS = ("train", "dev", "test")

SYNTHETIC = "SYNTHETIC.md"  # stands in a folder of made-up data: its tables say "synthetic, not LaMP"


class MissingData(RpobenchError):
    """A folder holds nothing of this task or split."""


def load_official(task: Task, folder: Path, split: str, *, limit: int | None = None) -> DataSet:
    """The labelled examples of a task in an official folder, in file order.

    `folder` holds `LaMP_N/` or is it; a split's files stand there or in a folder of the split's name. LaMP's server
    keeps movies (LaMP-2) in `LaMP_2/new` and news (LaMP-2N) beside it: where `new` is there, both are found so. Raises
    MissingData where the files are absent, RpobenchError that names file and record where they are broken, or the file
    where it is no longer what `rpobench data download` fetched.
    """
    from rpobench.data.official.manifest import check_pinned  # brings pydantic, which `--help` need not wait for

    questions, outputs = split_files(task, folder, split)
    check_pinned(questions)
    check_pinned(outputs)
    examples, users = read_questions(task, questions)
    if not outputs.exists():
        raise MissingData(f"{outputs}: absent, and without targets nothing is scored (LaMP withholds those of test)")
    targets = read_golds(read_json(outputs), task.name, str(outputs))
    _match(set(ids_of(examples)), targets, questions, outputs)
    check_targets(task, targets, str(outputs))
    return DataSet(
        task.name,
        _source(task, folder),
        split,
        labelled_with(examples, targets)[:limit],
        users=users,
        synthetic=is_synthetic(folder),
    )


def _source(task: Task, folder: Path) -> str:
    """The folder's name; of a task's own folder the name of the one around it, so that both ways to give the same files
    make the same run. Raises RpobenchError where runs by that name would be taken for the synthetic world's."""
    place = folder.resolve()
    name = place.parent.name if place.name in official_names(task.name) else place.name
    if is_world_name(name):
        raise RpobenchError(f"--data {folder}: '{name}' stands for the synthetic world: rename the folder")
    return name


def is_world_name(name: str) -> bool:
    """Whether `--data` and the specs of runs mean the synthetic world by it, in a version there is or may be."""
    return re.fullmatch(r"synth(-v\d+)?", name.partition("?")[0]) is not None


def is_synthetic(folder: Path) -> bool:
    """Whether an official folder, or the one around a task's, says that it holds the synthetic world."""
    return any((place / SYNTHETIC).exists() for place in (folder, folder.resolve().parent))


def has_split(task: Task, folder: Path, split: str) -> bool:
    """Whether the folder has questions of this split."""
    try:
        split_files(task, folder, split)
    except MissingData:
        return False
    return True


def held_splits(tasks: Sequence[Task], folder: Path) -> list[tuple[Task, str]]:
    """Every (task, split) that the folder has questions of. Raises MissingData where there is none."""
    held = [(task, split) for task in tasks for split in SPLITS if has_split(task, folder, split)]
    if not held:
        raise MissingData(
            f"{folder}: no {official_name(tasks[0].name)}/dev_questions.json or the like of any task asked"
        )
    return held


def split_users(data: DataSet, holdout: float, *, seed: int) -> tuple[DataSet, DataSet]:
    """Split by user into (train, scored): about `holdout` (0..1) of the users are scored on."""
    owners = users_of(data.labelled)
    users = sorted(set(owners))
    count = round(holdout * len(users))
    if not 0 < count < len(users):
        raise RpobenchError(
            f"--holdout {holdout}: leaves one side of {len(users)} users ({data.users}) empty, "
            "use a share between 0 and 1"
        )
    scored = set(Random(f"holdout/{seed}").sample(users, count))
    sides = [[place for place, user in enumerate(owners) if (user in scored) is side] for side in (False, True)]
    train, test = (replace(data, labelled=select(data.labelled, places)) for places in sides)
    return train, test


def split_files(task: Task, folder: Path, split: str) -> tuple[Path, Path]:
    """Where a split's questions are and its outputs belong. Raises MissingData where there are no questions."""
    for place in _places(task, folder):
        for inner in (place, place / split):
            questions = inner / f"{split}_questions.json"
            if questions.exists():
                return questions, inner / f"{split}_outputs.json"
    raise MissingData(f"{folder}: no {official_name(task.name)}/{split}_questions.json: give the folder that holds it")


def _places(task: Task, folder: Path) -> list[Path]:
    """Folders where the task's splits may stand, first choice first."""

    def named(name: str) -> list[Path]:
        return [folder / name, *([folder] if folder.resolve().name == name else [])]

    if task.name == "LaMP-2":
        return [place / "new" if (place / "new").is_dir() else place for place in named("LaMP_2")]
    news = [place for place in named("LaMP_2") if (place / "new").is_dir()] if task.name == "LaMP-2N" else []
    return [*named(official_name(task.name)), *news]


def _match(asked: set[str], targets: dict[str, str], questions: Path, outputs: Path) -> None:
    for lacking, file, other in (
        (asked - targets.keys(), outputs, questions),
        (targets.keys() - asked, questions, outputs),
    ):
        if lacking:
            raise RpobenchError(f"{file}: lacks id {min(lacking)!r} of {other.name} ({len(lacking)} in all)")
