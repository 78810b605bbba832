"""Trajectories by a teacher: a language model explains, with the target in view, how to come from draft to target.

The teacher writes the two lines of the analysis, the rewrite is the target. They are accepted only if they have the
form and do not give the target away: the module must be able to write them without knowing it. The prompts are ours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rpobench.method.answering import keep_licensed_texts_private
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.protocol import LanguageModel
from rpobench.rpo.form import LACKS, REWRITE, SHOWS, Form, Trajectory, one_line
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.rule_writer import Rules
from rpobench.types import Chat, Completion, Decoding, Message, RpobenchError, Usage

TRIES = 3  # the first is greedy, the others are sampled
TEMPERATURE = 0.8
LONG = 40  # words of a line: a small model that repeats itself does not end
RUN = 4  # words in a row that only the target has: no analysis comes upon them by itself
FORM = Form()
WORD = re.compile(r"\w+")
CLAIMS = frozenset(
    {"answer", "correct", "gold", "label", "rewrite", "target"}
)  # what only who saw the target speaks of

ASK = (
    f"Write two short lines. {SHOWS} what the history tells about how this user answers. {LACKS} where the draft "
    "departs from that. Neither line quotes the rewrite."
)


def _shown(history: Sequence[str], asked: str, rewrite: str, shows: str, lacks: str) -> Chat:
    lines = "\n".join(f"- {item}" for item in history)
    return (
        Message("user", f"History:\n{lines}\n{asked}\n{REWRITE} {rewrite}"),
        Message("assistant", f"{SHOWS} {shows}\n{LACKS} {lacks}"),
    )


# One for each kind of task: without it a small model repeats its instruction. A line that copies it is refused.
DEMONSTRATIONS = {
    "text": _shown(
        ["Just a new door, folks", "Just the old lamp, folks"],
        "Input: The shop has a red chair.\nDraft note: The shop offers a chair in red.",
        "Just a red chair, folks",
        'short; begins with "just", ends with "folks"',
        'no "just" first; no "folks" last',
    ),
    "rating": _shown(
        ["score: 2 text: slow and loud", "score: 5 text: fast and quiet"],
        "Input: It is quiet, and quick to start.\nDraft rating: 3",
        "5",
        "high ratings for quiet things, low ones for loud things",
        "it is too low for a quiet thing",
    ),
    "label": _shown(
        ["sport: the team won the cup", "sport: a race in the rain"],
        "Input: The final was played in the rain.\nDraft tag: news",
        "sport",
        "calls games and races sport",
        "a final is a game",
    ),
}


class Teacher:
    """Asks `model` up to three times a row, then falls back to the rules; the yields are told on stderr.

    What it wrote lies in `folder`, so that a kill costs a few texts and not all.
    """

    def __init__(self, model: LanguageModel, folder: Path, *, max_new_tokens: int, seed: int) -> None:
        self._model, self._folder, self._max_new_tokens, self._seed = model, folder, max_new_tokens, seed
        self.usage = Usage()

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        """Raises RpobenchError where a request has no answer: what the rules then wrote would not be this teacher's."""
        model = keep_licensed_texts_private(self._model, {row.task for row in rows})
        accepted: dict[int, Trajectory] = {}
        yields = []
        for attempt in range(TRIES):
            open_rows = {place: row for place, row in enumerate(rows) if place not in accepted}
            for place, text in self._analyses(model, open_rows, attempt).items():
                found = _analysis(rows[place], text)
                if found and not gives_away(rows[place], found):
                    accepted[place] = found
            yields.append(len(accepted))
        told = ", ".join(str(now - before) for before, now in zip([0, *yields], yields, strict=False))
        print(
            f"teacher: {len(accepted)} of {len(rows)} trajectories accepted ({told} by try), "
            f"{len(rows) - len(accepted)} by rules",
            file=sys.stderr,
        )
        return [accepted.get(place) or rule for place, rule in enumerate(Rules().write(rows))]

    def _analyses(self, model: LanguageModel, rows: Mapping[int, TrainingRow], attempt: int) -> dict[int, str]:
        """What the model writes to each row; a text without its second line is taken up once with the label given."""
        decoding = Decoding(self._max_new_tokens)
        if attempt:
            decoding = replace(decoding, temperature=TEMPERATURE, seed=self._seed * TRIES + attempt)
        chats = {place: _chat(row) for place, row in rows.items()}
        texts = self._written(f"teacher-{attempt + 1}", model, chats, decoding)
        begun = {place: lead for place, text in texts.items() if (lead := _begun(text))}
        chats = {place: (*chats[place], Message("assistant", lead)) for place, lead in begun.items()}
        rest = self._written(f"teacher-{attempt + 1}-led", model, chats, decoding)
        return texts | {place: _continued(begun[place], text.strip()) for place, text in rest.items()}

    def _written(
        self, name: str, model: LanguageModel, chats: Mapping[int, Chat], decoding: Decoding
    ) -> dict[int, str]:
        texts = KeptTexts(self._folder, name, model, decoding).generate(list(chats.values()))
        _check_answered(texts)
        self.usage += sum((one.usage for one in texts), Usage())
        return {place: one.text for place, one in zip(chats, texts, strict=True)}


def teacher_prompts() -> tuple[object, ...]:
    """The words of the teacher's prompts, as a part of `Method.prompts`."""
    return (ASK, DEMONSTRATIONS)


def _begun(text: str) -> str | None:
    """The analysis as far as a text has it, with the label of the line that is missing; None where none is."""
    begun = FORM.prefix_with_next_label(text)
    return None if begun is None or begun.endswith(REWRITE) else begun


def _continued(begun: str, rest: str) -> str:
    """What was begun and the rest of it; many servers answer anew instead of going on with a turn."""
    label = begun.splitlines()[-1]
    return rest if rest.startswith(SHOWS) else f"{begun} {rest.removeprefix(label).strip()}"


def _analysis(row: TrainingRow, text: str) -> Trajectory | None:
    """The two lines that a text begins with, and the target as the rewrite, whatever the text goes on with.

    None where they are not of the form, endless, or those of the demonstration.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]
    _, shown = DEMONSTRATIONS[row.task.kind]
    if set(lines) & set(shown.content.splitlines()) or any(len(line.split()) > LONG for line in lines):
        return None
    return FORM.parse("\n".join([*lines, f"{REWRITE} {one_line(row.target)}"]))


def _check_answered(texts: Sequence[Completion]) -> None:
    failures = [one.failure for one in texts if one.failure]
    if failures:
        raise RpobenchError(
            f"teacher: {len(failures)} of {len(texts)} requests have no answer ({failures[0]}): "
            "the same command asks them again and goes on"
        )


def _chat(row: TrainingRow) -> Chat:
    read = FORM.build_chat(row.task, row.example, row.draft, row.evidence)[-1].content
    asked = Message("user", f"{read}\n{REWRITE} {one_line(row.target)}")
    return (Message("system", ASK), *DEMONSTRATIONS[row.task.kind], asked)


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
