"""What the base model wrote about users beside its drafts, such as summaries: made once, kept by prompt, shared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rpobench.models.protocol import LanguageModel, batch_of
from rpobench.store.locks import locked
from rpobench.store.predictions import append_predictions, read_predictions, seconds_spent
from rpobench.terminal import progress
from rpobench.types import Chat, Completion, Decoding, Prediction

CHUNK = 16  # texts between two writes: what a kill can cost


@dataclass(frozen=True)
class Written:
    """The texts asked for, in order, the seconds spent on those that were missing (waiting for another process that
    wrote them included), and the seconds that all of them took when they were written."""

    texts: list[Completion]
    making: float
    worth: float


def write_once(folder: Path, name: str, model: LanguageModel, chats: Sequence[Chat], decoding: Decoding) -> Written:
    """The model's text for each chat; those that stand in the folder's file of this name are not asked again.

    A text costs whoever takes it what it cost when it was written. A failure is not kept.
    """
    file = folder / f"{name}-{_digest(f'{model.identity}/{decoding}')[:12]}.jsonl"
    keys = [_digest(repr([asdict(message) for message in chat])) for chat in chats]
    wanted = dict(zip(keys, chats, strict=True))
    known = read_predictions(file)
    failed: dict[str, Completion] = {}
    started, took = time.monotonic(), 0.0
    if not wanted.keys() <= known.keys():
        with locked(file):
            known = read_predictions(file)  # another process may have written some meanwhile
            missing = {key: chat for key, chat in wanted.items() if key not in known}
            made = _write(file, name, model, missing, decoding)
        failed = {key: one for key, one in made.items() if one.failure}
        known = read_predictions(file)
        took = time.monotonic() - started
    seconds = seconds_spent(file)
    texts = [failed[key] if key in failed else Completion(known[key].text, known[key].usage) for key in keys]
    return Written(texts, took, sum(seconds.get(key, 0.0) for key in keys))


def _write(
    file: Path, name: str, model: LanguageModel, chats: Mapping[str, Chat], decoding: Decoding
) -> dict[str, Completion]:
    """Ask for each chat and append what was answered, some at a time."""
    keys, size = list(chats), batch_of(model, CHUNK)
    made: dict[str, Completion] = {}
    with progress(name, len(keys)) as advance:
        for start in range(0, len(keys), size):
            part, started = keys[start : start + size], time.monotonic()
            answers = dict(zip(part, model.generate([chats[key] for key in part], decoding), strict=True))
            made |= answers
            whole = {key: one for key, one in answers.items() if not one.failure}
            append_predictions(
                file,
                [Prediction(key, one.text, one.text, usage=one.usage) for key, one in whole.items()],
                seconds=time.monotonic() - started,
            )
            advance(len(part))
    return made


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
