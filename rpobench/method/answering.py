"""How every method answers: one prompt without content, one way to choose or write, one form of prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rpobench.models.prices import without_cache
from rpobench.models.protocol import LanguageModel, PromptTooLong
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, RpobenchError


def blank(task: Task, example: Example) -> Chat:
    """The official prompt without content and without history: the twin that calibrates the choice of a label.

    With the history in it, calibration would take away what the history says for a label, and the model's own habit is
    all that it is to take away.
    """
    return task.prompt(task.neutral(example))


def blanks(tasks: Iterable[Task]) -> list[list[Chat]]:
    """The words of `blank` for the label tasks among these, as a part of `Method.prompts`; [] where there is none."""
    chats = [blank(task, Example("", "", "<input>")) for task in tasks if task.labels]
    return [chats] if chats else []


def answer(
    model: LanguageModel, task: Task, chats: Sequence[Chat], *, neutral: Sequence[Chat] | None = None
) -> Sequence[Completion]:
    """See `Context.answer`; `neutral` calibrates label tasks (`blank`) and is ignored by text tasks."""
    if task.labels:
        return model.choose(chats, task.labels, neutral=neutral)
    return model.generate(chats, Decoding(max_new_tokens=task.max_new_tokens))


def prediction(task: Task, example: Example, completion: Completion) -> Prediction:
    """A completion read in the task's form. Without an answer in it the raw text stands and the failure says so."""
    text = task.parse(completion.text)
    failure = completion.failure or (None if text else "no answer in the model's text")
    return Prediction(
        example.id,
        text or completion.text.strip(),
        completion.text,
        usage=completion.usage,
        failure=failure,
        unanswered=completion.failure is not None,
    )


def model_for(model: LanguageModel, tasks: Iterable[Task]) -> LanguageModel:
    """The model as these tasks may use it: nothing of a licensed one reaches the shared cache of answers."""
    return without_cache(model) if any(task.licensed for task in tasks) else model


@contextmanager
def naming_the_example(task: Task, examples: Sequence[Example]) -> Iterator[None]:
    """Adds to the complaint of a model about a chat that is too long whose example it is."""
    try:
        yield
    except PromptTooLong as error:
        asked = "\n".join(message.content for message in error.chat)
        ids = [example.id for example in examples if task.content(example) in asked]
        who = f"example {ids[0]!r}" if ids else "one example"
        raise RpobenchError(f"{task.name} {who}: {error}; finished answers are kept") from error
