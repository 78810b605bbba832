"""Finds and loads the splits of official LaMP folders: `DIR/LaMP_3/dev_questions.json` with `dev_outputs.json`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from rpobench.data.dataset import DataSet
from rpobench.data.lazy_examples import label_examples, list_ids, list_users, select_labelled
from rpobench.data.official.golds import check_targets, official_name, official_names, read_golds, read_json
from rpobench.data.official.questions import read_questions
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

SPLITS = ("train", "dev", "test")

SYNTHETIC = "SYNTHETIC.md"  # stands in a folder of made-up data: its tables say "synthetic, not LaMP"


class MissingData(RpobenchError):
    """A folder holds nothing of this task or split."""


def load_official(
    task: Task, folder: Path, split: str, *, limit: int | None = None, may_lack_targets: bool = False
) -> DataSet:
    """Load the labelled examples of a task from an official folder, in file order.

    Args:
        task: The task to load.
        folder: Holds `LaMP_N/` or is it. A split's files stand there or in a folder of the split's name.
        split: "train", "dev" or "test".
        limit: The first so many examples; None for all.
        may_lack_targets: Whether the outputs file may be absent, as that of LaMP's test split is.

    Returns:
        The data set.

    Raises:
        MissingData: The files are absent.
        RpobenchError: Names file and record where a file is broken, or the file where it is no longer what
            `rpobench data download` fetched or `rpobench data build` made.
    """
    # Both bring pydantic, which `--help` need not wait for.
    from rpobench.data.official.built import check_built, find_build_manifest
    from rpobench.data.official.manifest import check_pinned, withholds_texts

    questions_file, outputs_file = locate_split(task, folder, split)
    for file in (questions_file, outputs_file):
        check_pinned(file)
        check_built(file)

    examples, user_origin = read_questions(task, questions_file)
    has_targets = outputs_file.exists() or not may_lack_targets
    if has_targets:
        targets = _read_targets(task, outputs_file)
        _check_same_ids(set(list_ids(examples)), targets, questions_file, outputs_file)
        check_targets(task, targets, str(outputs_file))
    else:
        targets = dict.fromkeys(list_ids(examples), "")
    manifest = find_build_manifest(folder, official_name(task.name))

    return DataSet(
        task.name,
        _choose_source_name(task, folder),
        split,
        label_examples(examples, targets)[:limit],
        users=user_origin,
        synthetic=is_synthetic(folder),
        has_targets=has_targets,
        withholds_texts=withholds_texts(questions_file),
        origin=manifest.origin(task.name) if manifest else None,
    )


def _read_targets(task: Task, outputs_file: Path) -> dict[str, str]:
    """Read the target of each example id; raises MissingData where the file is absent."""
    if not outputs_file.exists():
        raise MissingData(
            f"{outputs_file}: absent; nothing is trained on or scored without targets (LaMP withholds those of test)"
        )

    return read_golds(read_json(outputs_file), task.name, str(outputs_file))


def _choose_source_name(task: Task, folder: Path) -> str:
    """Return the folder's name; for a task's own folder (`LaMP_3`) the name of the one around it.

    So both ways to give the same files make the same run. Raises RpobenchError where runs by that name would be taken
    for the synthetic world's.
    """
    resolved_folder = folder.resolve()
    is_task_folder = resolved_folder.name in official_names(task.name)
    name = resolved_folder.parent.name if is_task_folder else resolved_folder.name

    if is_world_name(name):
        raise RpobenchError(f"--data {folder}: '{name}' stands for the synthetic world: rename the folder")
    return name


def is_world_name(name: str) -> bool:
    """Say whether a name stands for the synthetic world, in `--data` and in specs.

    Args:
        name: Such as `synth`, `synth-v2?noise=0.1`, or the name of a folder.

    Returns:
        True for every `synth-vN`, also for versions that this package does not have.
    """
    return re.fullmatch(r"synth(-v\d+)?", name.partition("?")[0]) is not None


def is_synthetic(folder: Path) -> bool:
    """Say whether an official folder, or the one around a task's folder, is marked as made of synthetic data."""
    return any((candidate / SYNTHETIC).exists() for candidate in (folder, folder.resolve().parent))


def has_split(task: Task, folder: Path, split: str) -> bool:
    """Say whether the folder has questions of this split."""
    try:
        locate_split(task, folder, split)
    except MissingData:
        return False
    return True


def list_splits(tasks: Sequence[Task], folder: Path) -> list[tuple[Task, str]]:
    """List every task and split that a folder has questions of.

    Args:
        tasks: The tasks to look for.
        folder: The official folder.

    Returns:
        (task, split) pairs, in the order of the tasks.

    Raises:
        MissingData: The folder has none.
    """
    splits = [(task, split) for task in tasks for split in SPLITS if has_split(task, folder, split)]

    if not splits:
        raise MissingData(
            f"{folder}: no {official_name(tasks[0].name)}/dev_questions.json or the like of any task asked"
        )
    return splits


def split_users(data: DataSet, holdout: float, *, seed: int) -> tuple[DataSet, DataSet]:
    """Divide a data set by user, so that nobody is trained on and scored.

    Args:
        data: The data set.
        holdout: The share of the users to score on, between 0 and 1.
        seed: Decides which users.

    Returns:
        The training part and the scored part.

    Raises:
        RpobenchError: One part would be empty.
    """
    user_by_position = list_users(data.labelled)
    users = sorted(set(user_by_position))
    scored_count = round(holdout * len(users))
    if not 0 < scored_count < len(users):
        raise RpobenchError(
            f"--holdout {holdout}: leaves one side of {len(users)} users ({data.users}) empty, "
            "use a share between 0 and 1"
        )

    scored_users = set(Random(f"holdout/{seed}").sample(users, scored_count))
    train_positions = [position for position, user in enumerate(user_by_position) if user not in scored_users]
    scored_positions = [position for position, user in enumerate(user_by_position) if user in scored_users]

    train = replace(data, labelled=select_labelled(data.labelled, train_positions))
    scored = replace(data, labelled=select_labelled(data.labelled, scored_positions))
    return train, scored


def locate_split(task: Task, folder: Path, split: str) -> tuple[Path, Path]:
    """Find the files of a split.

    Args:
        task: The task.
        folder: The official folder.
        split: "train", "dev" or "test".

    Returns:
        The questions file, which exists, and where the outputs file belongs.

    Raises:
        MissingData: There are no questions.
    """
    for task_folder in _list_candidate_folders(task, folder):
        for split_folder in (task_folder, task_folder / split):
            questions_file = split_folder / f"{split}_questions.json"
            if questions_file.exists():
                return questions_file, split_folder / f"{split}_outputs.json"

    raise MissingData(f"{folder}: no {official_name(task.name)}/{split}_questions.json: give the folder that holds it")


def _list_candidate_folders(task: Task, folder: Path) -> list[Path]:
    """List the folders where the task's splits may stand, first choice first.

    LaMP's server keeps movies (LaMP-2) in `LaMP_2/new` and news (LaMP-2N) in `LaMP_2` itself, so a folder `new` says
    that the files beside it are news.
    """
    candidates = _list_folders_of_name(folder, official_name(task.name))

    if task.name == "LaMP-2":
        return [candidate / "new" if _has_movies_in_new(candidate) else candidate for candidate in candidates]
    if task.name == "LaMP-2N":
        news_folders = _list_folders_of_name(folder, "LaMP_2")
        candidates += [candidate for candidate in news_folders if _has_movies_in_new(candidate)]
    return candidates


def _list_folders_of_name(folder: Path, name: str) -> list[Path]:
    """List the folder of this name in a folder, and the folder itself where the name is its own."""
    is_named_so = folder.resolve().name == name
    return [folder / name, folder] if is_named_so else [folder / name]


def _has_movies_in_new(task_folder: Path) -> bool:
    return (task_folder / "new").is_dir()


def _check_same_ids(question_ids: set[str], targets: dict[str, str], questions_file: Path, outputs_file: Path) -> None:
    """Refuse a split whose questions and outputs name different ids."""
    for missing_ids, file, other_file in (
        (question_ids - targets.keys(), outputs_file, questions_file),
        (targets.keys() - question_ids, questions_file, outputs_file),
    ):
        if missing_ids:
            raise RpobenchError(
                f"{file}: lacks id {min(missing_ids)!r} of {other_file.name} ({len(missing_ids)} in all)"
            )
