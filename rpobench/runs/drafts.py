"""Drafts: the base model's answers without history, made once and shared by every method that wants one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpobench.method.answering import (
    TextPrivacy,
    answer,
    content_free_prompt,
    name_example_in_error,
    read_prediction,
    reread_prediction,
)
from rpobench.method.left_out import LeftOut
from rpobench.models.kept_answers import KeptAnswers, prompt_keys
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.meter import Meter
from rpobench.models.prices import at_todays_price
from rpobench.models.protocol import LanguageModel, batch_size, same_identity
from rpobench.runs.fit_cost import FitAttempt
from rpobench.runs.read_notes import ReadNotes
from rpobench.store.identity import content_of, former_identity
from rpobench.store.result_store import ResultStore
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Example, Prediction

CHUNK = 32  # examples between two writes: a kill loses no more


def list_draft_names(task: Task, base_model: str) -> list[str]:
    """List how the file of a base model's drafts of a task may be called, without its suffix.

    Args:
        task: The task.
        base_model: The identity of the model.

    Returns:
        The name that a new file gets, then the one that an earlier version gave.
    """
    names = []
    for identity in (content_of(base_model), former_identity(base_model)):
        key = f"{identity}/{task.prompt_versioned}/{task.max_new_tokens}"
        names.append(f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}")

    return names


@dataclass
class StoredDrafts:
    """Drafts on disk, one file for each (base model, task). A draft's key is its prompt, so data sets can share a file.

    Every method that uses a draft is charged what making it took, also where another method had it made: its seconds
    by the meter, its dollars at the model's price of today. So the order of runs changes no cost.

    Attributes:
        store: Where the files are.
        model: Makes the drafts that are missing.
        asks_refused: Whether prompts that the model refused before are asked once more.
        privacy: What of the drafts stays out of shared caches.
        meter: Counts the seconds of drafts and of the other texts.
        notes: Notes which files a run or a fit reads.
    """

    store: ResultStore
    model: LanguageModel
    asks_refused: bool = False
    privacy: TextPrivacy = field(default_factory=TextPrivacy)
    meter: Meter = field(default_factory=Meter)
    notes: ReadNotes = field(init=False)
    _answers_by_file: dict[Path, KeptAnswers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notes = ReadNotes(self.store.shared_root)

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Read drafts; missing ones are made and stored first.

        Args:
            task: The task.
            examples: The examples.

        Returns:
            The draft of each example, by example id.
        """

        def ask(indices: Sequence[int]) -> list[Prediction]:
            return self._ask(task, [examples[index] for index in indices])

        answers = self._open_answers(task)
        self.notes.add(answers.file)
        chats = [task.prompt(example) for example in examples]
        records = answers.predictions(chats, ask)

        drafts = {}
        for example, record in zip(examples, records, strict=True):
            usage = at_todays_price(self.model, record.usage)
            draft = reread_prediction(task, record)  # as answers are read today, whenever it was made
            drafts[example.id] = replace(draft, example_id=example.id, usage=usage)
        return drafts

    def generate_once(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """Read texts that a model wrote beside drafts; missing ones are written and stored first (`KeptTexts`).

        Args:
            name: What the texts are, such as `summary`.
            chats: The prompts.
            decoding: How the model samples.
            model: Writes what is missing.

        Returns:
            The completion of each chat, in order.
        """
        texts = KeptTexts(
            self.store.written_folder, name, model, decoding, meter=self.meter, asks_refused=self.asks_refused
        )
        self.notes.add(texts.file)
        completions = texts.generate(chats)
        return [replace(completion, usage=at_todays_price(model, completion.usage)) for completion in completions]

    def find_missing(self, task: Task, examples: Iterable[Example]) -> dict[str, Example]:
        """Find the drafts that would have to be made.

        Args:
            task: The task.
            examples: The examples that need a draft.

        Returns:
            An example for each missing draft, by the draft's key, without its profile: of a large file not all fit into
            memory. Equal prompts share a draft.
        """
        questions = [replace(example, profile=()) for example in examples]
        chats = [task.prompt(question) for question in questions]
        indices = self._open_answers(task).missing(chats)

        return {prompt_keys(chats[index])[0]: questions[index] for index in indices}

    def find_failed(self, task: Task, example: Example) -> Prediction | None:
        """Find the record of this example's draft if the model gave none when last asked; None where it did."""
        return self._open_answers(task).find_failed(task.prompt(example))

    def mark_failures(
        self, task: Task, examples: Sequence[Example], predictions: Sequence[Prediction]
    ) -> list[Prediction]:
        """Mark the predictions as unanswered that were made from a draft which the model never gave."""
        failed_drafts = {example.id: self.find_failed(task, example) for example in examples}

        checked_predictions = []
        for prediction in predictions:
            draft = failed_drafts[prediction.example_id]
            if draft and prediction.draft is not None and not prediction.unanswered:
                failure = f"no draft: {draft.failure}"
                prediction = replace(prediction, failure=failure, unanswered=True, permanent=draft.permanent)
            checked_predictions.append(prediction)
        return checked_predictions

    @property
    def has_answers(self) -> bool:
        """Whether the model drafted anything yet, in the files that are open."""
        return any(answers.has_answers for answers in self._answers_by_file.values())

    def _ask(self, task: Task, examples: Sequence[Example]) -> list[Prediction]:
        """Let the model draft these examples."""
        chats = [task.prompt(example) for example in examples]
        neutral_chats = [content_free_prompt(task, example) for example in examples]
        model = self.privacy.restrict(self.model, [task])

        with name_example_in_error(task, examples), same_identity(self.model):
            completions = answer(model, task, chats, neutral=neutral_chats)

        pairs = zip(examples, completions, strict=True)
        return [read_prediction(task, example, completion) for example, completion in pairs]

    def _open_answers(self, task: Task) -> KeptAnswers:
        """Open the file of the task's drafts; it is read once."""
        file = self._find_file(task)

        if file not in self._answers_by_file:
            chunk = batch_size(self.privacy.restrict(self.model, [task]), CHUNK)
            self._answers_by_file[file] = KeptAnswers(file, f"{task.name} drafts", chunk, self.meter, self.asks_refused)
        return self._answers_by_file[file]

    def _find_file(self, task: Task) -> Path:
        """The file of the task's drafts: the one that an earlier version began, where there is one."""
        files = [self.store.drafts_file(name) for name in list_draft_names(task, self.model.identity)]

        return next((file for file in files if file.exists()), files[0])


@dataclass(frozen=True)
class FitDrafts:
    """The same drafts for a fit, which must not learn from a draft that the model did not give.

    Attributes:
        store: The drafts.
        attempt: The attempt at the fit, whose seconds must not hold the making of drafts. None in a process that notes
            no cost.
        left_out: Takes the examples of which there will be no draft.
    """

    store: StoredDrafts
    attempt: FitAttempt | None
    left_out: LeftOut

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Read drafts as `StoredDrafts` does.

        Args:
            task: The task.
            examples: The training examples.

        Returns:
            The draft of each example that has one, by example id. The others are left out of the fit.

        Raises:
            RpobenchError: A draft stayed without answer that may come when it is asked for again, or too many examples
                are left out.
        """
        drafts = self.store.get_drafts(task, examples)
        self._postpone_start()

        failed = {example_id: draft for example_id, draft in drafts.items() if draft.unanswered}
        self.left_out.add(task.name, failed, len(drafts), "drafts")
        return {example_id: draft for example_id, draft in drafts.items() if not draft.unanswered}

    def generate_once(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """Read texts as `StoredDrafts` does."""
        completions = self.store.generate_once(name, chats, decoding, model)
        self._postpone_start()
        return completions

    def _postpone_start(self) -> None:
        """Take the time in which drafts were made out of the attempt's own."""
        if self.attempt:
            self.attempt.note_start()
