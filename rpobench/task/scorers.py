"""A scorer for each kind of task: the score of an answer, what a result keeps of it, and the metrics over many answers.

A metric is one function and one line in the `metrics` of its kind. Every metric is a function of sums over examples. So
metrics can be computed anew on any draw of users from a few numbers an example, and a result need not keep a text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rpobench.task.metrics import label_indices, rating_error, read_rating, rouge, rouge_1, rouge_l

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# Whether a higher value of a metric is better, or a lower one.
Direction = Literal["max", "min"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What all metrics have in common.

    Attributes:
        name: The official name.
        direction: Whether the largest or the smallest value is best.
        span: How far the best and the worst value lie apart.
        lowest: The least value.
    """

    name: str
    direction: Direction
    span: float = 1.0
    lowest: float = 0.0


class Scorer(ABC):
    """Everything statistical of one kind of task.

    Attributes:
        metrics: The metrics of this kind; the first is the main one.
        labels: The labels of the task; empty where its answers are texts.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = tuple(labels)

    @property
    def main(self) -> Metric:
        """The main metric."""
        return self.metrics[0]

    @property
    def directions(self) -> dict[str, Direction]:
        """The direction of each metric by its name."""
        return {metric.name: metric.direction for metric in self.metrics}

    @abstractmethod
    def score(self, text: str, target: str) -> float:
        """Score one answer, in [0, 1]; higher is better. This is also the RL reward."""

    @abstractmethod
    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """Measure one answer: the few numbers that a result keeps of it. They are all that the metrics need."""

    @abstractmethod
    def aggregate(self, texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        """Compute the metrics by name over answers and their targets, which stand in the same order."""

    @abstractmethod
    def summands(self, measures: Array) -> Array:
        """Turn measures into numbers whose sums over any examples give their metrics.

        Returns:
            (examples, summands) of (examples, measures); the first column is 1.
        """

    @abstractmethod
    def metrics_of(self, sums: Array) -> dict[str, Array]:
        """Compute the metrics by name, of shape (...), from sums of summands, (..., summands).

        Metrics that are younger than the measures are not among them.
        """

    def expected_label(self, measures: Sequence[float]) -> str | None:
        """Return the target that measures hold; None where targets are texts."""
        return None


@dataclass(frozen=True)
class LabelCounts:
    """How often labels were answered and expected.

    Attributes:
        examples: Number of examples, (...).
        hits: How many answers are their target, (...).
        hits_by_label: The same for each target, (..., labels).
        answered: How often each label was answered, (..., labels).
        expected: How often each label was the target, (..., labels).
    """

    examples: Array
    hits: Array
    hits_by_label: Array
    answered: Array
    expected: Array


@dataclass(frozen=True, kw_only=True)
class LabelMetric(Metric):
    """A metric of labels: a function of their counts."""

    of_counts: Callable[[LabelCounts], Array]


def accuracy(counts: LabelCounts) -> Array:
    """Return the share of answers that are their target, (...)."""
    share: Array = counts.hits / counts.examples
    return share


def macro_f1(counts: LabelCounts) -> Array:
    """Return the mean F1 of all labels, (...). Officially a label that is neither answered nor expected counts as 0."""
    import numpy as np

    f1_by_label = 2 * counts.hits_by_label / np.maximum(counts.answered + counts.expected, 1e-9)
    mean: Array = f1_by_label.mean(axis=-1)
    return mean


class LabelScorer(Scorer):
    """Scores one of a fixed list of labels. An answer outside the list is a class of its own."""

    metrics: ClassVar[tuple[LabelMetric, ...]] = (
        LabelMetric(name="accuracy", direction="max", of_counts=accuracy),
        LabelMetric(name="f1", direction="max", of_counts=macro_f1),
    )

    def score(self, text: str, target: str) -> float:
        return float(text.strip() == target.strip())

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """Return the indices of answer and target in the list of labels; -1 for a text outside it."""
        answer_index, target_index = label_indices([text, target], self.labels)
        return float(answer_index), float(target_index)

    def aggregate(self, texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        import numpy as np

        measures = [self.measure(text, target) for text, target in zip(texts, targets, strict=True)]
        sums = self.summands(np.array(measures)).sum(axis=0)
        return {name: float(value) for name, value in self.metrics_of(sums).items()}

    def summands(self, measures: Array) -> Array:
        """Write each example as numbers to sum.

        Returns:
            (examples, 2 + 3 * labels). The columns: 1; whether the answer is a hit; for each label whether it was hit;
            for each whether it was answered; for each whether it was expected.
        """
        import numpy as np

        indices = np.arange(len(self.labels))
        is_answered = measures[:, [0]] == indices
        is_expected = measures[:, [1]] == indices
        is_hit = measures[:, [0]] == measures[:, [1]]

        columns = [np.ones_like(is_hit), is_hit, is_answered & is_expected, is_answered, is_expected]
        return np.hstack(columns).astype(float)

    def metrics_of(self, sums: Array) -> dict[str, Array]:
        import numpy as np

        hits_by_label, answered, expected = np.split(sums[..., 2:], 3, axis=-1)
        counts = LabelCounts(sums[..., 0], sums[..., 1], hits_by_label, answered, expected)

        return {metric.name: metric.of_counts(counts) for metric in self.metrics}

    def expected_label(self, measures: Sequence[float]) -> str | None:
        return self.labels[int(measures[1])]


@dataclass(frozen=True, kw_only=True)
class RatingMetric(Metric):
    """A metric of ratings: the mean of a function of the absolute error, or the root of that mean.

    Attributes:
        of_error: The function; it takes a number or an array.
        is_root: Whether the metric is the square root of the mean.
    """

    of_error: Callable[[Any], Any]
    is_root: bool = False

    def finish(self, mean: Any) -> Any:
        """Turn the mean into the metric."""
        import numpy as np

        return np.sqrt(mean) if self.is_root else mean


def absolute_error(error: Any) -> Any:
    """Return the absolute error as it is."""
    return error


def squared_error(error: Any) -> Any:
    """Return the square of the absolute error."""
    return error * error


class RatingScorer(Scorer):
    """Scores an ordinal rating from 1 to 5; per example 1 - |error| / 4."""

    metrics: ClassVar[tuple[RatingMetric, ...]] = (
        RatingMetric(name="MAE", direction="min", span=4.0, of_error=absolute_error),
        RatingMetric(name="RMSE", direction="min", span=4.0, of_error=squared_error, is_root=True),
    )

    def score(self, text: str, target: str) -> float:
        if read_rating(text) is None:
            return 0.0

        return max(0.0, 1.0 - rating_error(text, target) / 4)

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """Return the absolute error, in points of the scale, and the target."""
        return rating_error(text, target), float(target)

    def aggregate(self, texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        """Compute the metrics by name; a rating outside 1 to 5 enters with its full error (official rule)."""
        errors = [rating_error(text, target) for text, target in zip(texts, targets, strict=True)]

        values = {}
        for metric in self.metrics:
            mean = sum(metric.of_error(error) for error in errors) / len(errors)
            values[metric.name] = float(metric.finish(mean))

        return values

    def summands(self, measures: Array) -> Array:
        """Write each example as 1 and each metric's function of its error, (examples, 1 + metrics)."""
        import numpy as np

        errors = measures[:, 0]
        columns = [np.ones(len(errors))]
        for metric in self.metrics:
            columns.append(metric.of_error(errors))

        return np.stack(columns, axis=1)

    def metrics_of(self, sums: Array) -> dict[str, Array]:
        means = sums[..., 1:] / sums[..., [0]]

        return {metric.name: metric.finish(means[..., column]) for column, metric in enumerate(self.metrics)}

    def expected_label(self, measures: Sequence[float]) -> str | None:
        return f"{measures[1]:g}"


@dataclass(frozen=True, kw_only=True)
class TextMetric(Metric):
    """A metric of texts: the mean of a function of text and target. A new one stands behind the others in `metrics`."""

    of_text: Callable[[str, str], float]


class TextScorer(Scorer):
    """Scores a short text; per example the mean of ROUGE-1 and ROUGE-L.

    The official figure is a bootstrap median over the same scores and moves from run to run; these are plain means.
    """

    metrics: ClassVar[tuple[TextMetric, ...]] = (
        TextMetric(name="rouge-1", direction="max", of_text=rouge_1),
        TextMetric(name="rouge-L", direction="max", of_text=rouge_l),
    )

    def score(self, text: str, target: str) -> float:
        return sum(rouge(text, target)) / 2

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """Return the value of each metric."""
        return tuple(metric.of_text(text, target) for metric in self.metrics)

    def aggregate(self, texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        values = {}
        for metric in self.metrics:
            scores = [metric.of_text(text, target) for text, target in zip(texts, targets, strict=True)]
            values[metric.name] = sum(scores) / len(scores)

        return values

    def summands(self, measures: Array) -> Array:
        """Write each example as 1 and the value of each metric, (examples, 1 + metrics)."""
        import numpy as np

        return np.hstack([np.ones((len(measures), 1)), measures])

    def metrics_of(self, sums: Array) -> dict[str, Array]:
        means = sums[..., 1:] / sums[..., [0]]

        # Measures of older results are fewer: they lack the metrics that were added since.
        stored_metrics = self.metrics[: means.shape[-1]]
        return {metric.name: means[..., column] for column, metric in enumerate(stored_metrics)}
