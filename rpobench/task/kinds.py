"""The three kinds of task: what tasks of one kind share. A LaMP task adds its prompt and its fields, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rpobench.task import metrics
from rpobench.task.contract import Direction, Task
from rpobench.types import ProfileItem

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL_BEFORE_TEXT = re.compile(r"^(headline|title|subject|tweet|paraphrase|paraphrased tweet|answer)\s*:\s*", re.I)
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}


class PairedItems(Task):
    """Items that carry their own answer: shown as `text => answer`, joined in the prompt as the official code does."""

    connector: ClassVar[str] = ". "  # between the last item and the input

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
        return len(encode(self.wrap(replace(item, fields={**item.fields, self.cut_field: " "}))))

    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        return ", and ".join(self.wrap(item) for item in evidence) + self.connector + input


def spoken(raw: str) -> str:
    """A model's text without the reasoning before it; nothing where it ended while reasoning."""
    before, closed, after = raw.rpartition("</think>")
    return after if closed else before or raw.partition("<think>")[0]


class LabelTask(Task):
    """One of a fixed list of labels. Accuracy and macro-F1."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "label"
    metrics: ClassVar[Mapping[str, Direction]] = {"accuracy": "max", "f1": "max"}
    main_metric = "accuracy"

    def parse(self, raw: str) -> str:
        """The label that the text is, else the one it names first (the longest where several start there)."""
        raw = spoken(raw).strip()
        if raw in self.labels:
            return raw
        longest_first = sorted(self.labels, key=len, reverse=True)
        # A group a label: ignoring case, `re` also takes ı for i, so the matched text is not always a label's spelling.
        named = re.search("|".join(rf"(?<!\w)({re.escape(label)})(?!\w)" for label in longest_first), raw, re.I)
        return longest_first[named.lastindex - 1] if named and named.lastindex else ""

    def score(self, text: str, target: str) -> float:
        return float(text.strip() == target.strip())

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.classification(predictions, targets, self.labels)

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """The places of answer and target in the list of labels, -1 for neither."""
        found, gold = metrics.classes([text, target], self.labels)
        return float(found), float(gold)

    def expected_label(self, measures: Sequence[float]) -> str | None:
        """The target."""
        return self.labels[int(measures[1])]

    def summands(self, measures: NDArray[Any]) -> NDArray[Any]:
        """One, whether it is a hit, and for each label: hit, answered, expected."""
        import numpy as np

        found, gold = (measures[:, [column]] == np.arange(len(self.labels)) for column in (0, 1))
        hit = measures[:, [0]] == measures[:, [1]]
        return np.hstack([np.ones_like(hit), hit, found & gold, found, gold]).astype(float)

    def metrics_of(self, sums: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Accuracy and macro-F1; a label that neither answer nor target names counts as 0, as officially."""
        import numpy as np

        hits, found, gold = np.split(sums[..., 2:], 3, axis=-1)
        f1 = 2 * hits / np.maximum(found + gold, 1e-9)
        return {"accuracy": sums[..., 1] / sums[..., 0], "f1": f1.mean(axis=-1)}


SCALE = re.compile(r"\b1 ?(?:to|-|–) ?5\b|(?:/|\bout of) ?5\b(?!\.\d)", re.IGNORECASE)  # of a rating's own words


class RatingTask(Task):
    """An ordinal rating from 1 to 5. MAE and RMSE; per example 1 - |error| / 4."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "rating"
    labels = ("1", "2", "3", "4", "5")
    metrics: ClassVar[Mapping[str, Direction]] = {"MAE": "min", "RMSE": "min"}
    main_metric = "MAE"
    metric_range = 4.0

    def parse(self, raw: str) -> str:
        """The first whole number from 1 to 5 that stands alone in the text, as "4" or "4.0", and does not speak of the
        scale, as in "from 1 to 5", "4/5" and "4 out of 5"."""
        found = re.search(r"(?<![\d.])([1-5])(?:\.0+)?(?!\.?\d)", SCALE.sub(" ", spoken(raw)))
        return found[1] if found else ""

    def score(self, text: str, target: str) -> float:
        if metrics.rating(text) is None:
            return 0.0
        return max(0.0, 1.0 - metrics.rating_error(text, target) / 4)

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.rating_errors(predictions, targets)

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """The absolute error and the target."""
        return metrics.rating_error(text, target), float(target)

    def summands(self, measures: NDArray[Any]) -> NDArray[Any]:
        """One, the error and its square."""
        return measures[:, [0]] ** [0, 1, 2]

    def expected_label(self, measures: Sequence[float]) -> str | None:
        """The target."""
        return f"{measures[1]:g}"

    def metrics_of(self, sums: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """MAE and RMSE."""
        mean = sums[..., 1:] / sums[..., [0]]
        return {"MAE": mean[..., 0], "RMSE": mean[..., 1] ** 0.5}


class TextTask(Task):
    """A short text. ROUGE-1 and ROUGE-L; per example their mean."""

    kind: ClassVar[Literal["label", "rating", "text"]] = "text"
    metrics: ClassVar[Mapping[str, Direction]] = {"rouge-1": "max", "rouge-L": "max"}
    main_metric = "rouge-1"
    max_new_tokens = 40

    def parse(self, raw: str) -> str:
        """The first line with words, without a leading `Headline:` and without quotes around it."""
        lines = (LABEL_BEFORE_TEXT.sub("", line.strip().strip("*")).strip() for line in spoken(raw).splitlines())
        line = next((line for line in lines if any(map(str.isalnum, line))), "")
        if len(line) > 1 and QUOTES.get(line[0]) == line[-1]:
            line = line[1:-1].strip()
        return line

    def score(self, text: str, target: str) -> float:
        return sum(metrics.rouge(text, target)) / 2

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        return metrics.mean_rouge(predictions, targets)

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """ROUGE-1 and ROUGE-L."""
        return metrics.rouge(text, target)

    def summands(self, measures: NDArray[Any]) -> NDArray[Any]:
        """One and the two scores."""
        import numpy as np

        return np.hstack([np.ones((len(measures), 1)), measures])

    def metrics_of(self, sums: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Their means."""
        mean = sums[..., 1:] / sums[..., [0]]
        return {"rouge-1": mean[..., 0], "rouge-L": mean[..., 1]}
