"""Describes a split of an official folder in numbers: examples, users, profile sizes, token lengths, label shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from rpobench.data.official.folder import locate_split
from rpobench.data.official.golds import read_golds, read_json
from rpobench.data.official.questions import read_questions
from rpobench.evidence.budget import Tokenizer
from rpobench.task.contract import Task
from rpobench.types import Example

SAMPLE_SIZE = 1000  # texts of a kind whose tokens are counted: enough for a median, quick on any size


@dataclass(frozen=True)
class UserStatistics:
    """How many users a split has.

    Attributes:
        count: Their number.
        ids: Whether their ids were "given" or "inferred".
    """

    count: int
    ids: str


@dataclass(frozen=True)
class SplitStatistics:
    """What a split holds.

    Attributes:
        task: The task's name.
        split: "train", "dev" or "test".
        examples: Number of examples.
        targets: Number of targets; None where there are none (test).
        users: The users.
        profile: Least, median, mean and most items of a profile, and how many profiles are `empty`.
        dates: Which items have a date: "none", "some items" or "all items".
        tokens: Least, median, mean and most tokens of inputs (`input`), profile items (`item`) and targets (`target`).
        labels: The share of each label, in [0, 1]; None for free texts and where there are no targets.
    """

    task: str
    split: str
    examples: int
    targets: int | None
    users: UserStatistics
    profile: dict[str, float]
    dates: str
    tokens: dict[str, dict[str, float]]
    labels: dict[str, float] | None


def describe_split(task: Task, folder: Path, split: str, tokenizer: Tokenizer) -> SplitStatistics:
    """Count what one split of an official folder holds.

    Args:
        task: The task.
        folder: The official folder.
        split: "train", "dev" or "test".
        tokenizer: Counts the tokens of the first 1,000 inputs, profile items and targets.

    Returns:
        The statistics.

    Raises:
        RpobenchError: The split is absent or broken.
    """
    questions_file, outputs_file = locate_split(task, folder, split)
    examples, user_origin = read_questions(task, questions_file)
    golds = None
    if outputs_file.exists():
        golds = list(read_golds(read_json(outputs_file), task.name, str(outputs_file)).values())

    tally = _Tally(task)
    for example in examples:  # one at a time: they may be mapped from a file larger than the memory
        tally.add(example)

    texts = {"input": tally.inputs, "item": tally.items, "target": (golds or [])[:SAMPLE_SIZE]}

    return SplitStatistics(
        task=task.name,
        split=split,
        examples=len(tally.profile_sizes),
        targets=None if golds is None else len(golds),
        users=UserStatistics(len(tally.users), user_origin),
        profile=_summarize(tally.profile_sizes) | {"empty": tally.profile_sizes.count(0)},
        dates=_describe_dates(tally.dated_items, sum(tally.profile_sizes)),
        tokens={kind: _summarize_tokens(tokenizer, kind_texts) for kind, kind_texts in texts.items()},
        labels=_compute_label_shares(golds) if golds and task.labels else None,
    )


@dataclass
class _Tally:
    """Counts users, profile sizes and dates, and gathers the texts to measure."""

    task: Task
    users: set[str] = field(default_factory=set)
    profile_sizes: list[int] = field(default_factory=list)
    dated_items: int = 0
    inputs: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """Count one more example."""
        self.users.add(example.user_id)
        self.profile_sizes.append(len(example.profile))
        self.dated_items += sum(item.date is not None for item in example.profile)

        if len(self.inputs) < SAMPLE_SIZE:
            self.inputs.append(example.input)
        open_slots = SAMPLE_SIZE - len(self.items)
        self.items.extend(self.task.retrieval_text(item) for item in example.profile[:open_slots])


def _summarize_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, float]:
    return _summarize([len(tokenizer.encode(text)) for text in texts])


def _describe_dates(dated_items: int, items: int) -> str:
    if dated_items == 0:
        return "none"
    return "all items" if dated_items == items else "some items"


def _summarize(numbers: Sequence[int]) -> dict[str, float]:
    if not numbers:
        return {}
    return {"least": min(numbers), "median": median(numbers), "mean": round(mean(numbers), 1), "most": max(numbers)}


def _compute_label_shares(golds: Sequence[str]) -> dict[str, float]:
    counts = Counter(gold.strip() for gold in golds)
    return {label: round(count / len(golds), 4) for label, count in counts.most_common()}
