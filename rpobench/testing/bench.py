"""A method on a scripted model, with records of what it asks and of what it is shown."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.answering import answer, read_prediction
from rpobench.method.config import EvidenceConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.declaration import check_predictions
from rpobench.models.protocol import LanguageModel
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_retriever
from rpobench.runs.seeds import SeedlessPredictContext, depends_on_seed
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Labelled, Prediction, ProfileItem

TRAINING_EXAMPLES = 6  # how many


class WordTokenizer:
    """A tokenizer whose tokens are words, so that none has to be fetched."""

    identity = "words"

    def __init__(self) -> None:
        self._words: list[str] = []

    def encode(self, text: str) -> list[int]:
        """Return a new number for each word of the text."""
        words = text.split()
        start = len(self._words)
        self._words += words

        return list(range(start, len(self._words)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of these numbers."""
        return " ".join(self._words[index] for index in ids)


@dataclass(frozen=True)
class ScriptedDrafts:
    """Drafts and other texts of a scripted model, made anew whenever they are asked for.

    Attributes:
        model: Makes them.
    """

    model: ScriptedModel

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Make the draft of each example, by example id."""
        completions = answer(self.model, task, [task.prompt(example) for example in examples])

        pairs = zip(examples, completions, strict=True)
        return {example.id: read_prediction(task, example, completion) for example, completion in pairs}

    def generate_once(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """Make the model's text for each chat, in order."""
        return model.generate(chats, decoding)


class RecordedEvidence(RankedEvidence):
    """Evidence as in a run, with a record of it.

    Attributes:
        shown: What was handed out, in order.
        retriever_names: The retrievers that were asked for.
    """

    def __init__(self) -> None:
        super().__init__(get_retriever, WordTokenizer, seed=0)
        self.shown: list[Evidence] = []
        self.retriever_names: set[str] = set()

    def choose_evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig
    ) -> list[Evidence]:
        self.retriever_names.add(retriever)
        return super().choose_evidence(task, examples, retriever=retriever, limits=limits)

    def cut_to_budget(
        self,
        task: Task,
        examples: Sequence[Example],
        ranked_items: Sequence[Sequence[ProfileItem]],
        limits: EvidenceConfig,
    ) -> list[Evidence]:
        evidence = super().cut_to_budget(task, examples, ranked_items, limits)
        self.shown += evidence
        return evidence


@dataclass
class FittedMethod:
    """A method after its fit.

    Attributes:
        method: As `fit` left it.
        loaded: As `load` made it of what `save` wrote, after the fit's own folder was removed.
    """

    method: Method
    loaded: Method


class Bench:
    """One method on one task, in a folder of its own.

    Args:
        method: The method; it is not fitted itself, but others of its class and config are.
        task: The task.
        folder: An empty folder.
    """

    def __init__(self, method: Method, task: Task, folder: Path) -> None:
        self.method_class, self.config, self.task, self.folder = type(method), method.config, task, folder
        self.model = ScriptedModel(reply, scorer=likelihood)
        self.evidence = RecordedEvidence()
        self.train: list[Labelled] = []

        self._drafts = ScriptedDrafts(self.model)

    def fit(self) -> FittedMethod:
        """Fit a new method where it trains, save it, and load it."""
        method = self.method_class(self.config)
        work, saved = self.folder / "work", self.folder / "saved"
        work.mkdir()
        saved.mkdir()

        if method.trains:
            self.train = list(generate(self.task.name, "train", TRAINING_EXAMPLES).labelled)
            context = FitContext(
                self.model, self._drafts, self.evidence, 0, work, evidence_limits=method.evidence_limits
            )
            method.fit({self.task: self.train}, context)

        method.save(saved)
        shutil.rmtree(work)
        return FittedMethod(method, self.method_class.load(saved, self.config))

    def predict(self, method: Method, examples: Sequence[Example]) -> list[Prediction]:
        """Let a method answer examples as a run does, and check that each has one answer."""
        make_context = PredictContext if depends_on_seed(method) else SeedlessPredictContext
        context = make_context(
            self.model,
            self._drafts,
            self.evidence,
            0,
            self.folder / "users",
            evidence_limits=method.evidence_limits,
        )
        return check_predictions(method, examples, method.predict(self.task, examples, context))


def reply(chat: Chat) -> str:
    """An answer that changes with the prompt."""
    return f"answer {int(sha256(chat[-1].content.encode()).hexdigest()[:12], 16)}"


def likelihood(chat: Chat, text: str) -> float:
    """A likelihood that changes with prompt and text, so that the choice changes with the prompt."""
    return float(int(sha256(f"{chat[-1].content}/{text}".encode()).hexdigest()[:8], 16))
