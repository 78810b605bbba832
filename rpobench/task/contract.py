"""The contract of a task: how an example is asked, and how an answer is read.

A new task is a subclass of `LabelTask`, `RatingTask` or `TextTask` with its prompt and its fields. Everything
statistical is the business of its kind's scorer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rpobench.task.scorers import Direction, Scorer
from rpobench.task.thinking import strip_thinking
from rpobench.types import Chat, Example, Message, ProfileItem, RpobenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Task(ABC):
    """One LaMP-like task: how an example is asked, and how an answer is read and scored.

    Attributes:
        name: The official name, such as `LaMP-3`.
        kind: What its answers are.
        version: Raised when a prompt, the reading of an answer or a score changes, so that old and new results are
            never mixed.
        prompt_version: The version since which prompts and profiles are shown as today. Drafts, rankings and fits are
            named by it: a change of reading makes none of them anew. A task that names none has that of its `version`.
        fields: What every profile item must carry.
        answer_field: The field of a profile item that is an answer of this task's form; empty where there is none.
        cut_field: The field that is shortened where evidence does not fit (official code).
        instruction: The official words before the content of an input.
        labels: All answers that there are; empty where answers are texts.
        scorer_class: What scores this kind of task.
        max_new_tokens: The longest answer, in tokens.
        licensed: True where the real texts that this task usually has are shown in no report and kept in no shared
            cache. Data with a manifest that says where it comes from has a licence of its own.
        noun: What the answer is, in two or three words: "movie tag", "news headline".
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["label", "rating", "text"]]
    version: ClassVar[str] = "1"
    prompt_version: ClassVar[str] = "1"
    fields: ClassVar[tuple[str, ...]]
    answer_field: ClassVar[str] = ""
    cut_field: ClassVar[str]
    instruction: ClassVar[str]
    labels: ClassVar[tuple[str, ...]] = ()
    scorer_class: ClassVar[type[Scorer]]
    max_new_tokens: ClassVar[int] = 8
    licensed: ClassVar[bool] = False
    noun: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        """Take `prompt_version` from `version` where a task raises only that."""
        super().__init_subclass__(**options)
        if "version" in vars(cls) and "prompt_version" not in vars(cls):
            cls.prompt_version = cls.version

    @property
    def versioned(self) -> str:
        """What a spec calls the task: `LaMP-3@1`."""
        return f"{self.name}@{self.version}"

    @property
    def prompt_versioned(self) -> str:
        """What a fit calls the task that it was trained on, by the version of its prompts: `LaMP-3@1`."""
        return f"{self.name}@{self.prompt_version}"

    def content(self, example: Example) -> str:
        """Return the input without the official instruction: what the question is about."""
        return example.input.removeprefix(self.instruction).strip()

    def check_example(self, example: Example, location: str) -> None:
        """Raise an RpobenchError, which begins with `location`, where this task cannot read the input."""
        if not example.input.strip():
            raise RpobenchError(f"{location}: the input is empty")

    def neutral(self, example: Example) -> Example:
        """Return the example's content-free twin, for calibration.

        The source is Zhao et al. 2021, arXiv 2102.09690, section 5.
        """
        return replace(example, input=f"{self.instruction}N/A")

    def retrieval_query(self, example: Example) -> str:
        """Return the text that the official code searches the profile with."""
        return self.content(example)

    @abstractmethod
    def retrieval_text(self, item: ProfileItem) -> str:
        """Return the text of a profile item that the official code indexes."""

    @abstractmethod
    def show(self, item: ProfileItem) -> str:
        """Return a profile item as a model reads it: the fields of the official prompt, no more."""

    @abstractmethod
    def wrap(self, item: ProfileItem) -> str:
        """Return a profile item in the words of the official prompt."""

    @abstractmethod
    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        """Return the official prompt with evidence (LaMP, arXiv 2304.11406, released code).

        There is at least one item of evidence; the best stands first.
        """

    def pair(self, item: ProfileItem) -> tuple[str, str] | None:
        """Return a profile item as input and answer, to learn a user from; None where the item makes no pair.

        Where an item is no input-output pair of this task, a task says what else is to be predicted of the item.
        """
        return None

    def item_tokens(self, item: ProfileItem, encode: Callable[[str], list[int]]) -> int:
        """Count the tokens that the official arithmetic sets aside for the words around an item's text.

        By default these are two, for bare quotes. `encode` is the reference tokenizer.
        """
        return 2

    def evidence_tokens(self, encode: Callable[[str], list[int]]) -> int:
        """Count the tokens that the official arithmetic sets aside for the words around all items.

        By default it is one, for the stop after the items. `encode` is the reference tokenizer.
        """
        return 1

    def prompt(self, example: Example, evidence: Sequence[ProfileItem] = ()) -> Chat:
        """Return the official LaMP prompt as a single user message; evidence is best first and may be empty."""
        text = self.with_evidence(example.input, evidence) if evidence else example.input
        return (Message("user", text),)

    @abstractmethod
    def parse(self, raw: str) -> str:
        """Read a model's text as an answer in the task's form; empty where it holds none."""

    def canonical(self, answer: str) -> str:
        """Return the one way to write an answer that data may write in several; by default the answer as it is."""
        return answer

    def read_answer(self, raw: str, *, truncated: bool) -> str:
        """Read a model's text as `parse` does, but take no label for an answer that the limit of tokens cut off.

        Args:
            raw: All that the model wrote.
            truncated: Whether the limit of tokens stopped it.

        Returns:
            The answer in the task's form; empty where there is none.
        """
        text = self.parse(raw)

        if truncated and self.labels and text != (strip_thinking(raw) or "").strip():
            return ""
        return text

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer of this kind of task, with this task's labels."""
        return self.scorer_class(self.labels)

    @property
    def metrics(self) -> Mapping[str, Direction]:
        """The direction of each official metric by its name."""
        return self.scorer.directions

    @property
    def main_metric(self) -> str:
        """The name of the main metric."""
        return self.scorer.main.name

    @property
    def metric_range(self) -> float:
        """How far the main metric's best and worst values lie apart."""
        return self.scorer.main.span

    def metric_limits(self, name: str) -> tuple[float, float]:
        """Return the least and the largest value that a metric can have."""
        metric = next(metric for metric in self.scorer.metrics if metric.name == name)
        return metric.lowest, metric.lowest + metric.span

    def score(self, text: str, target: str) -> float:
        """Score one answer, in [0, 1]; higher is better. See `Scorer.score`."""
        return self.scorer.score(text, target)

    def aggregate(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
        """Compute the official metrics by name over aligned predictions and targets. See `Scorer.aggregate`."""
        return self.scorer.aggregate(predictions, targets)

    def measure(self, text: str, target: str) -> tuple[float, ...]:
        """Return the few numbers that a result keeps of one answer. See `Scorer.measure`."""
        return self.scorer.measure(text, target)

    def expected_label(self, measures: Sequence[float]) -> str | None:
        """Return the target that measures hold; None where targets are texts. See `Scorer.expected_label`."""
        return self.scorer.expected_label(measures)

    def summands(self, measures: NDArray[Any]) -> NDArray[Any]:
        """Turn (examples, measures) into (examples, summands). See `Scorer.summands`."""
        return self.scorer.summands(measures)

    def metrics_of(self, sums: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Turn (..., summands) into metrics of shape (...). See `Scorer.metrics_of`."""
        return self.scorer.metrics_of(sums)
