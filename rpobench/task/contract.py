"""The contract of a task, and what tasks of one kind share: parsing, per-example score, official metrics.

A new task is a subclass of `LabelTask`, `RatingTask` or `TextTask` with its prompt and its fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rpobench.types import Chat, Example, Message, ProfileItem, RpobenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Direction = Literal["max", "min"]


class Task(ABC):
    """One LaMP-like task: how an example is asked, how an answer is read and scored.

    `version` changes when a prompt or a score changes, so that old and new results are never mixed.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["label", "rating", "text"]]
    version: ClassVar[str] = "1"
    fields: ClassVar[tuple[str, ...]]  # what every profile item must carry
    answer_field: ClassVar[str] = ""  # the field of a profile item that is an answer of this task's form, if one is
    cut_field: ClassVar[str]  # the field shortened when evidence does not fit (official code)
    instruction: ClassVar[str]  # the official words before the content of an input
    labels: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, Direction]]
    main_metric: ClassVar[str]
    metric_range: ClassVar[float] = 1.0  # how far the main metric's best and worst values lie apart
    max_new_tokens: ClassVar[int] = 8
    licensed: ClassVar[bool] = False  # real texts of this task are shown in no report and no shared cache
    noun: ClassVar[str]  # what the answer is, in two or three words: "movie tag", "news headline"

    @property
    def versioned(self) -> str:
        """How a spec names it: `LaMP-3@1`."""
        return f"{self.name}@{self.version}"

    def content(self, example: Example) -> str:
        """The input without the official instruction: what the question is about."""
        return example.input.removeprefix(self.instruction).strip()

    def check_example(self, example: Example, location: str) -> None:
        """Refuse an input that is none of this task's. `at` names file and record for the error."""
        if not example.input.strip():
            raise RpobenchError(f"{location}: the input is empty")

    def neutral(self, example: Example) -> Example:
        """The example's content-free twin, for calibration (Zhao et al. 2021, arXiv 2102.09690, section 5)."""
        return replace(example, input=f"{self.instruction}N/A")

    def retrieval_query(self, example: Example) -> str:
        """The text the official code searches the profile with."""
        return self.content(example)

    @abstractmethod
    def retrieval_text(self, item: ProfileItem) -> str:
        """The text of one profile item that the official code indexes."""

    @abstractmethod
    def show(self, item: ProfileItem) -> str:
        """One profile item as a model reads it: the fields of the official prompt, no more."""

    @abstractmethod
    def wrap(self, item: ProfileItem) -> str:
        """One profile item in the official prompt's words."""

    @abstractmethod
    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        """The official prompt text for a non-empty evidence (LaMP, arXiv 2304.11406, released code)."""

    def pair(self, item: ProfileItem) -> tuple[str, str] | None:
        """The item as an input with its answer, to learn a user from; None where it makes none.

        Where an item is no input-output pair of this task, a task says what else it lets predict of the item.
        """
        return None

    def item_tokens(self, item: ProfileItem, encode: Callable[[str], list[int]]) -> int:
        """Tokens the official arithmetic sets aside for the words around one item's text: two for bare quotes."""
        return 2

    def evidence_tokens(self, encode: Callable[[str], list[int]]) -> int:
        """Tokens the official arithmetic sets aside for the words around all items: one for the stop after them."""
        return 1

    def prompt(self, example: Example, evidence: Sequence[ProfileItem] = ()) -> Chat:
        """The official LaMP prompt as one user message, with or without evidence."""
        text = self.with_evidence(example.input, evidence) if evidence else example.input
        return (Message("user", text),)

    @abstractmethod
    def parse(self, raw: str) -> str:
        """A model's text as an answer in the task's form; empty where there is none in it."""

    @abstractmethod
    def score(self, text: str, target: str) -> float:
        """Per-example score in [0, 1], higher is better; also the RL reward."""

    @abstractmethod
    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        """The official metrics over aligned predictions and targets, by official name."""

    @abstractmethod
    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """The few numbers that a result keeps of one example: all that the metrics need, and no text."""

    def expected_label(self, measures: Sequence[float]) -> str | None:
        """The target, where it is one of few and the measures hold it."""
        return None

    @abstractmethod
    def summands(self, measures: NDArray[Any]) -> NDArray[Any]:
        """(n, m) measures as (n, t) numbers whose sums over any examples give their metrics; the first column is 1."""

    @abstractmethod
    def metrics_of(self, sums: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """(..., t) sums of summands to metrics of shape (...); for one run's sums those of `aggregate`."""
