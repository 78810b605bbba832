"""Writes official LaMP folders from records, so that tests can also write broken ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_split(root: Path, questions: Any, outputs: Any = None, *, split: str = "dev", name: str = "LaMP_3") -> Path:
    """Write the questions and outputs of one split.

    Args:
        root: The official folder; the files go to its folder `name`.
        questions: Records, or the bytes of the file.
        outputs: Likewise; None answers every question with 5.
        split: The split in the files' names.
        name: The task's official name.

    Returns:
        The root.
    """
    folder = root / name
    folder.mkdir(exist_ok=True)
    if outputs is None:
        outputs = {"task": name, "golds": answer_all(questions, "5")}

    for part, content in (("questions", questions), ("outputs", outputs)):
        content_bytes = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"{split}_{part}.json").write_bytes(content_bytes)

    return root


def answer_all(questions: Sequence[dict[str, Any]], output: str) -> list[dict[str, str]]:
    """Return golds that give every question the same output."""
    return [{"id": question["id"], "output": output} for question in questions]
