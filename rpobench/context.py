"""What the runner lends a method: the base model, shared drafts, fair evidence, fair answering, a folder, a seed.

Everything that must be equal between methods (evidence text, drafts, how a label is chosen) is here and not in methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rpobench.models.base import LanguageModel, PromptTooLong
from rpobench.models.priced import without_cache
from rpobench.task import Task
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.evidence import EvidenceConfig, RankedEvidence


class DraftStore(Protocol):
    """The base model's answers without history, made once for each (base model, task, data) and kept on disk."""

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The draft of each example by example id; missing ones are made and stored first."""
        ...

    def written(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """The model's text for each chat, in order; kept under `name` by prompt."""
        ...


@dataclass(frozen=True)
class Context:
    """Handed to `Method.fit` and `Method.predict`.

    `folder` is where a fit may keep files; None while predicting. `users` is where a method keeps what it learns of
    single users while predicting (`rpobench.users.kept`); None where nothing is predicted. A method that ranks
    items itself has them cut by `evidence_source.fitted`.
    """

    base_model: LanguageModel
    draft_store: DraftStore
    evidence_source: RankedEvidence
    seed: int
    folder: Path | None = None
    users: Path | None = None

    def drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """The shared drafts of these examples, by example id."""
        return self.draft_store.drafts(task, examples)

    def written(
        self,
        name: str,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Sequence[Completion]:
        """What the base model writes to each chat, once for all methods and runs: summaries of users and the like.

        Greedy, or a sample: then it takes a seed, and another one for each sample of the same chat.
        """
        decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
        return self.draft_store.written(name, chats, decoding, self.base_model)

    def evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        """Fair evidence for each example, in order, within `limits`: a method's own config, or one made for it."""
        return self.evidence_source.evidence(task, examples, retriever=retriever, limits=limits)

    def answer(
        self,
        task: Task,
        chats: Sequence[Chat],
        *,
        model: LanguageModel | None = None,
        neutral: Sequence[Chat] | None = None,
    ) -> Sequence[Completion]:
        """How every method ends: label tasks by `choose` over the labels, text tasks by the same greedy decoding."""
        return answer(model or self.base_model, task, chats, neutral=neutral)

    def prediction(self, task: Task, example: Example, completion: Completion) -> Prediction:
        """The completion as this example's prediction."""
        return prediction(task, example, completion)


def blank(task: Task, example: Example) -> Chat:
    """The official prompt without content and without history: the twin that calibrates the choice of a label.

    With the history in it, calibration would take away what the history says for a label, and the model's own habit is
    all that it is to take away.
    """
    return task.prompt(task.neutral(example))


def blanks(tasks: Iterable[Task]) -> str:
    """The words of `blank` for the label tasks among these, for `Method.prompts`; "" where there is none."""
    known = [blank(task, Example("", "", "<input>")) for task in tasks if task.labels]
    return repr(known) if known else ""


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
