"""Writes examples as LaMP's official files, as somebody would have them who downloaded the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rpobench.types import Labelled


def write_official_split(
    folder: Path, task_name: str, split: str, labelled: Sequence[Labelled], *, with_users: bool = True
) -> Path:
    """Write one split of a task.

    Args:
        folder: The folder of all tasks.
        task_name: Such as `LaMP-3`.
        split: train, dev or test.
        labelled: The examples with their targets.
        with_users: Whether the questions name their users, as the official ones do not.

    Returns:
        The folder of all tasks.
    """
    official_name = task_name.replace("-", "_")

    questions = []
    for example in (pair.example for pair in labelled):
        profile = [{"id": item.id, **item.fields} for item in example.profile]
        question = {"id": example.id, "input": example.input, "profile": profile}
        if with_users:
            question["user_id"] = example.user_id
        questions.append(question)

    golds = [{"id": pair.example.id, "output": pair.target} for pair in labelled]

    task_folder = folder / official_name
    task_folder.mkdir(parents=True, exist_ok=True)
    (task_folder / f"{split}_questions.json").write_text(json.dumps(questions))
    (task_folder / f"{split}_outputs.json").write_text(json.dumps({"task": official_name, "golds": golds}))

    return folder
