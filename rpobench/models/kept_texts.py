"""What a model wrote beside drafts, such as summaries of users: generated once, kept by prompt, shared by all runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rpobench.models.kept_answers import KeptAnswers
from rpobench.models.meter import Meter
from rpobench.models.protocol import LanguageModel, batch_size, same_identity
from rpobench.store.identity import SPEC_DIGEST, content_of, digest, former_identity
from rpobench.store.recorded import recorded_decoding, recorded_digest
from rpobench.types import Chat, Completion, Decoding

CHUNK = 16  # texts between two writes: what a kill can cost


class KeptTexts:
    """The texts of one model under one decoding, in a file of its own (see `KeptAnswers`).

    Args:
        folder: Where the file is.
        name: What the texts are; the first part of the file's name.
        model: Writes what is missing.
        decoding: How it samples.
        meter: Counts the seconds of writing them and of those handed out; nobody is charged without one.
        asks_refused: Whether chats that are kept without text are asked once more.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        model: LanguageModel,
        decoding: Decoding,
        *,
        meter: Meter | None = None,
        asks_refused: bool = False,
    ) -> None:
        self._model, self._decoding = model, decoding
        file = _file(folder, name, model, decoding)
        self._answers = KeptAnswers(file, name, batch_size(model, CHUNK), meter or Meter(), asks_refused)

    @property
    def file(self) -> Path:
        """Where the texts are."""
        return self._answers.file

    def generate(self, chats: Sequence[Chat]) -> list[Completion]:
        """The model's text for each chat, in order; it is asked only for those that are not kept."""

        def ask(indices: Sequence[int]) -> Sequence[Completion]:
            with same_identity(self._model):
                return self._model.generate([chats[index] for index in indices], self._decoding)

        return self._answers.completions(chats, ask)

    def seconds(self, chats: Sequence[Chat]) -> float:
        """The seconds that the texts for these chats took when they were written, whoever wrote them."""
        return self._answers.seconds(chats)


def _file(folder: Path, name: str, model: LanguageModel, decoding: Decoding) -> Path:
    """The file of these texts: the one that an earlier version began, where there is one."""
    former_name = former_identity(model.identity)
    digests = [
        digest([content_of(model.identity), decoding]),
        digest([former_name, decoding]),
        recorded_digest(f"{former_name}/{recorded_decoding(decoding)}", SPEC_DIGEST),
    ]

    files = [folder / f"{name}-{file_digest}.jsonl" for file_digest in digests]
    return next((file for file in files if file.exists()), files[0])
