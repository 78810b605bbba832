"""The three kinds of task: what tasks of one kind share. A LaMP task adds its prompt and its fields, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from rpobench import metrics
from rpobench.task import Direction, Task
from rpobench.types import ProfileItem

LABEL_BEFORE_TEXT = re.compile(r"^(headline|title|subject|tweet|paraphrase|paraphrased tweet|answer)\s*:\s*", re.I)
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}


class PairedItems(Task):
    """Items that carry their own answer: shown as `text => answer`, joined in the prompt as the official code does."""

    connector: ClassVar[str] = ". "  # between the last item and the input

    def retrieval_text(self, item: ProfileItem) -> str:
        return item.fields[self.cut_field]

    def show(self, item: ProfileItem) -> str:
        return f"{item.fields[self.cut_field]} => {item.fields[self.answer_field]}"

    def item_tokens(self, item: ProfileItem, encode: Callable[[str], list[int]]) -> int:
        if self.answer_field == self.cut_field:
            return super().item_tokens(item, encode)
        return len(encode(self.wrap(replace(item, fields={**item.fields, self.cut_field: " "}))))

    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        return ", and ".join(self.wrap(item) for item in evidence) + self.connector + input


class LabelTask(Task):
    """One of a fixed list of labels. Accuracy and macro-F1."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "label"
    metrics: ClassVar[Mapping[str, Direction]] = {"accuracy": "max", "f1": "max"}
    main_metric = "accuracy"

    def parse(self, raw: str) -> str:
        """The label that the text is, else the one it names first (the longest where several start there)."""
        if raw.strip() in self.labels:
            return raw.strip()
        longest_first = sorted(self.labels, key=len, reverse=True)
        # A group a label: ignoring case, `re` also takes ı for i, so the matched text is not always a label's spelling.
        named = re.search("|".join(rf"(?<!\w)({re.escape(label)})(?!\w)" for label in longest_first), raw, re.I)
        return longest_first[named.lastindex - 1] if named and named.lastindex else ""

    def score(self, text: str, target: str) -> float:
        return float(text.strip() == target.strip())

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.classification(predictions, targets, self.labels)


class RatingTask(Task):
    """An ordinal rating from 1 to 5. MAE and RMSE; per example 1 - |error| / 4."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "rating"
    labels = ("1", "2", "3", "4", "5")
    metrics: ClassVar[Mapping[str, Direction]] = {"MAE": "min", "RMSE": "min"}
    main_metric = "MAE"

    def parse(self, raw: str) -> str:
        """The first whole number from 1 to 5 that stands alone in the text."""
        found = re.search(r"(?<![\d.])[1-5](?!\.?\d)", raw)
        return found[0] if found else ""

    def score(self, text: str, target: str) -> float:
        if metrics.rating(text) is None:
            return 0.0
        return max(0.0, 1.0 - metrics.rating_error(text, target) / 4)

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.rating_errors(predictions, targets)


class TextTask(Task):
    """A short text. ROUGE-1 and ROUGE-L; per example their mean."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "text"
    metrics: ClassVar[Mapping[str, Direction]] = {"rouge-1": "max", "rouge-L": "max"}
    main_metric = "rouge-1"
    max_new_tokens = 40

    def parse(self, raw: str) -> str:
        """The first line with words, without a leading `Headline:` and without quotes around it."""
        lines = (LABEL_BEFORE_TEXT.sub("", line.strip().strip("*")).strip() for line in raw.splitlines())
        line = next((line for line in lines if any(map(str.isalnum, line))), "")
        if len(line) > 1 and QUOTES.get(line[0]) == line[-1]:
            line = line[1:-1].strip()
        return line

    def score(self, text: str, target: str) -> float:
        return sum(metrics.rouge(text, target)) / 2

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.mean_rouge(predictions, targets)
