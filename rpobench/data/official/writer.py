"""Writes a data set, such as one task of the synthetic world, as an official LaMP folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.official.folder import SYNTHETIC
from rpobench.data.official.golds import official_name
from rpobench.store.files import write_text
from rpobench.types import Example, RpobenchError


def write_official(data: DataSet, folder: Path) -> None:
    """Write questions and outputs to `folder/LaMP_N/`, so that `load_official` reads the same examples back.

    Dates are written where there are any, and user ids where the data has them. References are never written. A folder
    of synthetic data gets a file that says so.

    Args:
        data: The data set of one task and split.
        folder: The official folder; it is made where it is absent.

    Raises:
        RpobenchError: A file is already there (it may be real data), or the folder is of another synthetic world.
    """
    task_folder = folder / official_name(data.task)
    questions_file = task_folder / f"{data.split}_questions.json"
    outputs_file = task_folder / f"{data.split}_outputs.json"
    for file in (questions_file, outputs_file):
        if file.exists():
            raise RpobenchError(f"{file}: stands already: move it away or use --out")

    if data.synthetic:
        _mark_synthetic(data.source, folder)

    has_user_ids = data.users == "given"
    questions = [question_record(labelled.example, with_user=has_user_ids) for labelled in data.labelled]
    golds = [{"id": labelled.example.id, "output": labelled.target} for labelled in data.labelled]

    write_text(questions_file, to_json(questions))
    write_text(outputs_file, to_json({"task": official_name(data.task), "golds": golds}))


def _mark_synthetic(source: str, folder: Path) -> None:
    """Write the file that says that a folder is synthetic, and of which world."""
    mark = folder / SYNTHETIC
    notice = f"Synthetic, not LaMP: made-up users and texts ({source}) in LaMP's form.\n"

    if mark.exists() and mark.read_text(encoding="utf-8") != notice:
        raise RpobenchError(f"{mark}: another world stands here than {source}: use --out")
    write_text(mark, notice)


def question_record(example: Example, *, with_user: bool) -> dict[str, Any]:
    """Return a question as it stands in an official file; dates where there are any, the user id `with_user`."""
    record: dict[str, Any] = {"id": example.id}
    if with_user:
        record["user_id"] = example.user_id
    record["input"] = example.input

    profile = []
    for item in example.profile:
        item_record = {"id": item.id, **item.fields}
        if item.date:
            item_record["date"] = item.date.isoformat()
        profile.append(item_record)

    record["profile"] = profile
    return record


def to_json(content: Any) -> str:
    """Return the text of an official file."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
