"""The three kinds of task: what tasks of a kind share. A LaMP task adds its prompt and its fields, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from rpobench.task.contract import Task
from rpobench.task.scorers import LabelScorer, RatingScorer, Scorer, TextScorer
from rpobench.task.thinking import strip_thinking
from rpobench.types import ProfileItem

# What a model writes before the text that it was asked for, such as "Headline: ".
HEADING_BEFORE_TEXT = re.compile(r"^(headline|title|subject|tweet|paraphrase|paraphrased tweet|answer)\s*:\s*", re.I)
CLOSING_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}  # by the opening one

# Where a rating's own words speak of the scale: "1 to 5", "/5", "out of 5".
SCALE = re.compile(r"\b1 ?(?:to|-|–) ?5\b|(?:/|\bout of) ?5\b(?!\.\d)", re.IGNORECASE)
# A whole number from 1 to 5 that stands alone, as "4" or "4.0".
RATING = re.compile(r"(?<![\d.])([1-5])(?:\.0+)?(?!\.?\d)")


class PairedItems(Task):
    """Items that carry their own answer: shown as `text => answer`, joined in the prompt as the official code does.

    Attributes:
        connector: What stands between the last item and the input.
    """

    connector: ClassVar[str] = ". "

    def retrieval_text(self, item: ProfileItem) -> str:
        return item.fields[self.cut_field]

    def show(self, item: ProfileItem) -> str:
        return f"{item.fields[self.cut_field]} => {item.fields[self.answer_field]}"

    def pair(self, item: ProfileItem) -> tuple[str, str] | None:
        if self.answer_field == self.cut_field:
            return None
        return f"{self.instruction}{item.fields[self.cut_field]}", item.fields[self.answer_field]

    def item_tokens(self, item: ProfileItem, encode: Callable[[str], list[int]]) -> int:
        if self.answer_field == self.cut_field:
            return super().item_tokens(item, encode)

        without_text = replace(item, fields={**item.fields, self.cut_field: " "})
        return len(encode(self.wrap(without_text)))

    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        return ", and ".join(self.wrap(item) for item in evidence) + self.connector + input


class LabelTask(Task):
    """An answer from a fixed list of labels. Metrics: accuracy and macro-F1."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "label"
    scorer_class: ClassVar[type[Scorer]] = LabelScorer

    def parse(self, raw: str) -> str:
        """Read the label that the text is, else the first that it names; the longest where several start there."""
        text = (strip_thinking(raw) or "").strip()
        if text in self.labels:
            return text

        # A group a label: ignoring case, `re` also takes ı for i, so the matched text is not always a label's spelling.
        longest_first = sorted(self.labels, key=len, reverse=True)
        pattern = "|".join(rf"(?<!\w)({re.escape(label)})(?!\w)" for label in longest_first)
        match = re.search(pattern, text, re.I)

        return longest_first[match.lastindex - 1] if match and match.lastindex else ""


class RatingTask(Task):
    """An ordinal rating from 1 to 5. Metrics: MAE and RMSE."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "rating"
    scorer_class: ClassVar[type[Scorer]] = RatingScorer
    labels = ("1", "2", "3", "4", "5")

    def parse(self, raw: str) -> str:
        """Read the first whole number from 1 to 5 that stands alone in the text and does not speak of the scale."""
        match = RATING.search(SCALE.sub(" ", strip_thinking(raw) or ""))

        return match[1] if match else ""


class TextTask(Task):
    """A short text. Metrics: ROUGE-1 and ROUGE-L."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "text"
    scorer_class: ClassVar[type[Scorer]] = TextScorer
    max_new_tokens = 40

    def parse(self, raw: str) -> str:
        """Read the first line with words, without a leading `Headline:` and without quotes around it."""
        text = ""
        for line in (strip_thinking(raw) or "").splitlines():
            text = HEADING_BEFORE_TEXT.sub("", line.strip().strip("*")).strip()
            if any(map(str.isalnum, text)):
                break
        else:
            return ""

        if len(text) > 1 and CLOSING_QUOTES.get(text[0]) == text[-1]:
            text = text[1:-1].strip()

        return text
