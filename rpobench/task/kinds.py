"""The three kinds of task: what tasks of a kind share. A LaMP task adds its prompt and its fields, no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from rpobench.task.contract import Task
from rpobench.task.labels import read_label
from rpobench.task.metrics import read_rating as read_number
from rpobench.task.ratings import read_rating
from rpobench.task.scorers import LabelScorer, RatingScorer, Scorer, TextScorer
from rpobench.task.thinking import strip_thinking
from rpobench.task.titles import read_title
from rpobench.types import ProfileItem


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
        """Read the label that the text is, else the one that it states or first names; see `read_label`."""
        return read_label(strip_thinking(raw) or "", self.labels)


class RatingTask(Task):
    """An ordinal rating from 1 to 5. Metrics: MAE and RMSE."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "rating"
    scorer_class: ClassVar[type[Scorer]] = RatingScorer
    labels = ("1", "2", "3", "4", "5")

    def parse(self, raw: str) -> str:
        """Read the one rating that the text gives; see `read_rating`."""
        return read_rating(strip_thinking(raw) or "")

    def canonical(self, answer: str) -> str:
        """Return a whole rating without decimals: "5.0" is "5"."""
        value = read_number(answer)
        return f"{value:.0f}" if value is not None and value.is_integer() else answer


class TextTask(Task):
    """A short text. Metrics: ROUGE-1 and ROUGE-L."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "text"
    scorer_class: ClassVar[type[Scorer]] = TextScorer
    max_new_tokens = 40

    def parse(self, raw: str) -> str:
        """Read the first line with words, without lead-in, label and quotes; see `read_title`."""
        return read_title(strip_thinking(raw) or "")
