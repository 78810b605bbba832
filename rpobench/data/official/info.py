"""What an official folder holds, in figures: counts, users, profile sizes, token lengths, label shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from rpobench.data.official.folder import split_files
from rpobench.data.official.golds import read_golds, read_json
from rpobench.data.official.questions import read_questions
from rpobench.evidence.budget import Tokenizer
from rpobench.task.contract import Task

MEASURED = 1000  # texts of a kind whose tokens are counted: enough for a median, quick on any size


def info(task: Task, folder: Path, split: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """Figures of one split; `targets` is None where there are none (test). Raises RpobenchError where it is broken.

    `tokens` are the reference tokenizer's over the first 1,000 inputs, profile items and targets.
    """
    questions, outputs = split_files(task, folder, split)
    examples, users = read_questions(task, questions)
    golds = list(read_golds(read_json(outputs), task.name, str(outputs)).values()) if outputs.exists() else None
    sizes, users_met, dated = [], set(), 0
    texts: dict[str, list[str]] = {"input": [], "item": [], "target": (golds or [])[:MEASURED]}
    for example in examples:  # one at a time: they may be mapped from a file larger than the memory
        users_met.add(example.user_id)
        sizes.append(len(example.profile))
        dated += sum(item.date is not None for item in example.profile)
        texts["input"].extend([example.input] if len(sizes) <= MEASURED else [])
        texts["item"].extend(task.retrieval_text(item) for item in example.profile[: MEASURED - len(texts["item"])])
    items = sum(sizes)
    return {
        "task": task.name,
        "split": split,
        "examples": len(sizes),
        "targets": None if golds is None else len(golds),
        "users": {"count": len(users_met), "ids": users},
        "profile": _sizes(sizes) | {"empty": sizes.count(0)},
        "dates": {items: "all items", 0: "none"}.get(dated, "some items") if items else "none",
        "tokens": {name: _sizes([len(tokenizer.encode(text)) for text in some]) for name, some in texts.items()},
        "labels": _shares(golds) if golds and task.labels else None,
    }


def _sizes(numbers: Sequence[int]) -> dict[str, float]:
    if not numbers:
        return {}
    return {"least": min(numbers), "median": median(numbers), "mean": round(mean(numbers), 1), "most": max(numbers)}


def _shares(golds: Sequence[str]) -> dict[str, float]:
    counts = Counter(gold.strip() for gold in golds)
    return {label: round(count / len(golds), 4) for label, count in counts.most_common()}
