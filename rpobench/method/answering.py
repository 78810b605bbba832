"""How every method answers: one prompt without content, one way to choose or write, one form of prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from rpobench.models.completions import STILL_THINKING, read_words
from rpobench.models.prices import without_cache
from rpobench.models.protocol import LanguageModel, PromptTooLong
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, RpobenchError, Usage

NO_ANSWER = "no answer in the model's text"


def content_free_prompt(task: Task, example: Example) -> Chat:
    """Build the official prompt without content and without history, which calibrates the choice of a label.

    With the history in it, calibration would take away what the history says for a label. It is to take away the
    model's own habit alone.

    Args:
        task: The task that words the prompt.
        example: The example that is answered. Only what carries no content is read of it.

    Returns:
        The chat that stands beside the example's prompt in `answer`.
    """
    return task.prompt(task.neutral(example))


def content_free_wording(tasks: Iterable[Task]) -> list[list[Chat]]:
    """Collect the words of `content_free_prompt`, as a part of `Method.prompts`.

    Args:
        tasks: The tasks of a spec. Only label tasks are calibrated.

    Returns:
        One list of chats, one chat a label task; an empty list without label tasks.
    """
    stand_in = Example("", "", "<input>")
    chats = [content_free_prompt(task, stand_in) for task in tasks if task.labels]

    return [chats] if chats else []


def answer(
    model: LanguageModel, task: Task, chats: Sequence[Chat], *, neutral: Sequence[Chat] | None = None
) -> Sequence[Completion]:
    """Let a model answer chats the way every method does.

    Label tasks are answered by a choice over the labels, text tasks by greedy decoding.

    Args:
        model: The model that answers.
        task: The task of all chats.
        chats: What the model is asked.
        neutral: One chat without content for each chat (`content_free_prompt`), which calibrates the choice of a label.
            Text tasks ignore it.

    Returns:
        One completion for each chat, in order.
    """
    if task.labels:
        return model.choose(chats, task.labels, neutral=neutral)

    return model.generate(chats, Decoding(max_new_tokens=task.max_new_tokens))


def read_prediction(task: Task, example: Example, completion: Completion) -> Prediction:
    """Read a completion in the task's form.

    Args:
        task: Parses the text.
        example: The example that was answered.
        completion: What the model wrote or chose.

    Returns:
        The prediction. Without an answer in the text the raw text stands, and `failure` says so.
    """
    raw = completion.text if completion.raw is None else completion.raw
    text = task.read_answer(raw, truncated=completion.truncated)

    failure = completion.failure
    if failure is None and not text:
        failure = NO_ANSWER

    return Prediction(
        example.id,
        text=text or completion.text.strip(),
        raw=raw,
        usage=completion.usage,
        failure=failure,
        unanswered=completion.failure is not None,
        permanent=completion.permanent,
        truncated=completion.truncated,
    )


def reread_prediction(task: Task, prediction: Prediction) -> Prediction:
    """Read what a model wrote once more, as answers of this task are read today.

    Args:
        task: Parses the text.
        prediction: What `read_prediction` made of the same text, now or with an earlier version of the task.

    Returns:
        The prediction with the answer of today. A failure that has nothing to do with reading stays, and so does
        everything that the method was shown, its draft among it.
    """
    if prediction.failure not in (None, NO_ANSWER, STILL_THINKING):
        return prediction

    completion = read_words(prediction.raw, prediction.usage, truncated=prediction.truncated)
    reading = read_prediction(task, Example(prediction.example_id, "", ""), completion)

    return replace(
        prediction,
        text=reading.text,
        failure=reading.failure,
        unanswered=reading.unanswered,
        permanent=reading.permanent,
    )


class CostedAnswer(Protocol):
    """An answer of the base model with its price: a completion, or what a method built from several of them."""

    @property
    def usage(self) -> Usage:
        """What it cost in calls and tokens."""
        ...

    @property
    def failure(self) -> str | None:
        """Why there is no answer; None where there is one."""
        ...

    @property
    def permanent(self) -> bool:
        """Whether the failure would come again."""
        ...


def total_usage(answers: Iterable[CostedAnswer]) -> Usage:
    """Add up what answers cost."""
    return sum((answer.usage for answer in answers), Usage())


def first_failure(answers: Iterable[CostedAnswer]) -> str | None:
    """Return the first failure among answers; None where all are answered."""
    for answer in answers:
        if answer.failure:
            return answer.failure

    return None


def fails_for_good(answers: Iterable[CostedAnswer]) -> bool:
    """Say whether some answers are missing, and none of these would come if a model were asked again."""
    failed = [answer for answer in answers if answer.failure]

    return bool(failed) and all(answer.permanent for answer in failed)


@dataclass(frozen=True)
class TextPrivacy:
    """Says which texts stay out of caches that others may read.

    Attributes:
        free_tasks: The names of tasks whose data says itself under which licence it is. What the usual data of such a
            task is bound to does not hold for it.
    """

    free_tasks: frozenset[str] = frozenset()

    def covers(self, task: Task) -> bool:
        """Say whether the texts of a task are private."""
        return task.licensed and task.name not in self.free_tasks

    def restrict(self, model: LanguageModel, tasks: Iterable[Task]) -> LanguageModel:
        """Return the model as these tasks may use it: no private text reaches the shared cache of answers."""
        return without_cache(model) if any(map(self.covers, tasks)) else model


@contextmanager
def name_example_in_error(task: Task, examples: Sequence[Example]) -> Iterator[None]:
    """Turn a model's complaint about a long chat into one that names the example.

    Args:
        task: The task of the examples.
        examples: Those that may be asked about inside the `with` block.

    Raises:
        RpobenchError: A chat inside the block was too long for its model.
    """
    try:
        yield

    except PromptTooLong as error:
        prompt_text = "\n".join(message.content for message in error.chat)
        matching_ids = [example.id for example in examples if task.content(example) in prompt_text]
        subject = f"example {matching_ids[0]!r}" if matching_ids else "one example"

        raise RpobenchError(f"{task.name} {subject}: {error}; finished answers are kept") from error
