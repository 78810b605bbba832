"""A data set written as an official folder, such as one task of the synthetic world."""

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

    Dates are written where there are any, user ids where they were given, references never. A folder of synthetic data
    gets a file that says so. Raises RpobenchError where a file stands already: it may be real data.
    """
    name = official_name(data.task)
    questions, outputs = (folder / name / f"{data.split}_{part}.json" for part in ("questions", "outputs"))
    for file in (questions, outputs):
        if file.exists():
            raise RpobenchError(f"{file}: stands already: move it away or use --out")
    if data.synthetic:
        mark = folder / SYNTHETIC
        said = f"Synthetic, not LaMP: made-up users and texts ({data.source}) in LaMP's form.\n"
        if mark.exists() and mark.read_text(encoding="utf-8") != said:
            raise RpobenchError(f"{mark}: another world stands here than {data.source}: use --out")
        write_text(mark, said)
    asked = [_question(one.example, given=data.users == "given") for one in data.labelled]
    write_text(questions, _json(asked))
    write_text(outputs, _json({"task": name, "golds": [_gold(one.example.id, one.target) for one in data.labelled]}))


def _question(example: Example, *, given: bool) -> dict[str, Any]:
    profile = [
        {"id": item.id, **item.fields, **({"date": item.date.isoformat()} if item.date else {})}
        for item in example.profile
    ]
    user = {"user_id": example.user_id} if given else {}
    return {"id": example.id, **user, "input": example.input, "profile": profile}


def _gold(key: str, target: str) -> dict[str, str]:
    return {"id": key, "output": target}


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
