"""Trajectories by a teacher: a language model explains, with the target in view, how to come from draft to target.

A text is accepted only if it has the form and does not give the target away before the rewrite: the module must be able
to write the analysis without knowing the answer. The prompt is ours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rpobench.context import model_for
from rpobench.models.base import LanguageModel
from rpobench.rpo.prompts import LACKS, REWRITE, SHOWS, Form, Trajectory, one_line
from rpobench.rpo.questions import TrainingRow
from rpobench.rpo.writers import Rules
from rpobench.types import Chat, Completion, Decoding, Message, RpobenchError, Usage
from rpobench.written import write_once

TRIES = 3  # the first is greedy, the others are sampled
TEMPERATURE = 0.8
RUN = 4  # words in a row that only the target has: no analysis comes upon them by itself
FORM = Form()
WORD = re.compile(r"\w+")
CLAIMS = frozenset(
    {"answer", "correct", "gold", "label", "rewrite", "target"}
)  # what only who saw the target speaks of

TASK = (
    "Explain in two short lines how this user's history tells what is wrong with a draft, then give the rewrite. "
    f"Write exactly three lines:\n{SHOWS} what the history shows about the user\n{LACKS} what the draft lacks\n"
    f"{REWRITE} the rewrite\nThe first two lines must not quote the rewrite nor name it."
)


class Teacher:
    """Asks `model` up to three times a row, then falls back to the rules; the yields are told on stderr.

    What it wrote lies in `folder`, so that a kill costs a few texts and not all.
    """

    def __init__(self, model: LanguageModel, folder: Path, *, max_new_tokens: int, seed: int) -> None:
        self._model, self._folder, self._max_new_tokens, self._seed = model, folder, max_new_tokens, seed
        self.usage = Usage()

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        """Raises RpobenchError where a request has no answer: what the rules then wrote would not be this teacher's."""
        model = model_for(self._model, {row.task for row in rows})
        accepted: dict[int, Trajectory] = {}
        yields = []
        for attempt in range(TRIES):
            open_rows = [place for place in range(len(rows)) if place not in accepted]
            decoding = Decoding(self._max_new_tokens)
            if attempt:
                decoding = replace(decoding, temperature=TEMPERATURE, seed=self._seed * TRIES + attempt)
            chats = [_chat(rows[place]) for place in open_rows]
            texts = write_once(self._folder, f"teacher-{attempt + 1}", model, chats, decoding).texts
            _check_answered(texts)
            for place, completion in zip(open_rows, texts, strict=True):
                self.usage += completion.usage
                found = FORM.parse(completion.text)
                if found and not gives_away(rows[place], found):
                    accepted[place] = replace(found, rewrite=one_line(rows[place].target))
            yields.append(len(accepted))
        told = ", ".join(str(now - before) for before, now in zip([0, *yields], yields, strict=False))
        print(
            f"teacher: {len(accepted)} of {len(rows)} trajectories accepted ({told} by try), "
            f"{len(rows) - len(accepted)} by rules",
            file=sys.stderr,
        )
        return [accepted.get(place) or rule for place, rule in enumerate(Rules().write(rows))]


def _check_answered(texts: Sequence[Completion]) -> None:
    failures = [one.failure for one in texts if one.failure]
    if failures:
        raise RpobenchError(
            f"teacher: {len(failures)} of {len(texts)} requests have no answer ({failures[0]}): "
            "the same command asks them again and goes on"
        )


def _chat(row: TrainingRow) -> Chat:
    read = FORM.chat(row.task, row.example, row.draft, row.evidence)[-1].content
    return (Message("system", TASK), Message("user", f"{read}\n{REWRITE} {one_line(row.target)}"))


def gives_away(row: TrainingRow, trajectory: Trajectory) -> bool:
    """Whether the analysis says of the target what input, draft and evidence do not.

    A label: it is named and none of them names it, or it is called the answer. A text: `RUN` of its words in a row, or
    all of a shorter one.
    """
    said = _words(f"{trajectory.shows} {trajectory.lacks}")
    if row.task.labels and CLAIMS.intersection(said) and _holds(said, _words(row.target)):
        return True
    known = [_words(row.draft), _words(row.task.content(row.example))]
    known += [_words(row.task.show(item)) for item in row.evidence]
    target = _words(row.target)
    run = min(RUN, len(target))
    runs = [target[at : at + run] for at in range(len(target) - run + 1)] if run else []
    return any(_holds(said, one) and not any(_holds(text, one) for text in known) for one in runs)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _holds(words: Sequence[str], run: Sequence[str]) -> bool:
    return any(list(words[at : at + len(run)]) == list(run) for at in range(len(words) - len(run) + 1))
