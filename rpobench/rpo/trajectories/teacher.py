"""Trajectories by a teacher: a language model explains, with the target in view, how to come from draft to target.

The teacher writes the two lines of the analysis; the rewrite is the target. Its lines are accepted only if they have
the form and do not give the target away: the module must be able to write them without knowing it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from rpobench.method.answering import TextPrivacy
from rpobench.method.left_out import LeftOut
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.protocol import LanguageModel
from rpobench.rpo.form import REWRITE, SHOWS, Retry, Trajectory, one_line
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.leaks import reveals_target
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.rpo.trajectories.teacher_prompt import FEW_SHOT, FORM, build_teacher_chat
from rpobench.types import Chat, Completion, Decoding, Message, RpobenchError, Usage

TRIES = 3  # the first is greedy, the others are sampled
TEMPERATURE = 0.8
MOST_WORDS = 40  # of a line: a small model that repeats itself does not end


class TeacherWriter:
    """Asks a model up to three times a row; rules write what it does not. How many it wrote is said on stderr.

    What it wrote lies on disk, so that a kill costs a few texts and not all.
    """

    def __init__(
        self,
        model: LanguageModel,
        folder: Path,
        *,
        max_new_tokens: int,
        seed: int,
        left_out: LeftOut | None = None,
        privacy: TextPrivacy | None = None,
    ) -> None:
        """Prepare the teacher.

        Args:
            model: The language model that teaches.
            folder: Where its texts are kept.
            max_new_tokens: The most tokens of one text.
            seed: What its samples depend on.
            left_out: Takes the examples that it refuses.
            privacy: What of the examples stays out of shared caches.
        """
        self._left_out = left_out or LeftOut()
        self._privacy = privacy or TextPrivacy()
        self._model = model
        self._folder = folder
        self._max_new_tokens = max_new_tokens
        self._seed = seed

        self.usage = Usage()

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory | None]:
        """Write a trajectory for each row.

        Args:
            rows: The training rows of all tasks.

        Returns:
            One trajectory per row, in order, with all three parts; None for a row that the teacher refused.

        Raises:
            RpobenchError: A request has no answer yet, or too many were refused. What rules would write instead would
                not be this teacher's.
        """
        model = self._privacy.restrict(self._model, {row.task for row in rows})
        accepted: dict[int, Trajectory] = {}
        refused: set[int] = set()
        accepted_counts = [0]

        for attempt in range(TRIES):
            open_rows = {index: row for index, row in enumerate(rows) if index not in {*accepted, *refused}}
            analyses = self._write_analyses(model, list(open_rows.values()), attempt)

            for (index, row), analysis in zip(open_rows.items(), analyses, strict=True):
                if analysis is None:
                    refused.add(index)
                    continue

                trajectory = read_analysis(row, analysis)
                if trajectory and not reveals_target(row, trajectory):
                    accepted[index] = trajectory
            accepted_counts.append(len(accepted))

        _report_accepted(accepted_counts, len(rows) - len(refused))
        by_rules = RuleWriter().write(rows)
        return [None if index in refused else accepted.get(index, by_rules[index]) for index in range(len(rows))]

    def _write_analyses(self, model: LanguageModel, rows: Sequence[TrainingRow], attempt: int) -> list[str | None]:
        """What the model writes to each row; None where it refuses.

        A text without its second line is continued once, with the label added.
        """
        decoding = Decoding(self._max_new_tokens)
        if attempt:
            decoding = replace(decoding, temperature=TEMPERATURE, seed=self._seed * TRIES + attempt)

        chats = [build_teacher_chat(row) for row in rows]
        completions = self._generate(f"teacher-{attempt + 1}", model, chats, decoding)
        self._leave_out_refused(rows, completions)
        texts = [None if completion.failure else completion.text for completion in completions]

        retries = []
        for index, text in enumerate(texts):
            prefix = None if text is None else _analysis_prefix(text)
            if prefix is not None:
                retries.append(Retry(index, prefix))

        retry_chats = [(*chats[retry.index], Message("assistant", retry.prefix)) for retry in retries]
        continuations = self._generate(f"teacher-{attempt + 1}-led", model, retry_chats, decoding)

        for retry, continuation in zip(retries, continuations, strict=True):
            texts[retry.index] = _join_continuation(retry.prefix, continuation.text.strip())
        return texts

    def _generate(
        self, name: str, model: LanguageModel, chats: Sequence[Chat], decoding: Decoding
    ) -> Sequence[Completion]:
        completions = KeptTexts(self._folder, name, model, decoding).generate(chats)
        _check_answered(completions)

        for completion in completions:
            self.usage += completion.usage
        return completions

    def _leave_out_refused(self, rows: Sequence[TrainingRow], completions: Sequence[Completion]) -> None:
        """Note the rows that the teacher refuses, task by task."""
        for task in dict.fromkeys(row.task for row in rows):
            answers = {}
            for row, completion in zip(rows, completions, strict=True):
                if row.task == task:
                    answers[row.example.id] = completion

            refused = {example_id: answer for example_id, answer in answers.items() if answer.failure}
            self._left_out.add(task.name, refused, len(answers), "texts of the teacher")


def _report_accepted(accepted_counts: Sequence[int], row_count: int) -> None:
    """`accepted_counts` is how many rows had a trajectory before the first try and after each."""
    by_try = ", ".join(str(after - before) for before, after in pairwise(accepted_counts))
    total = accepted_counts[-1]

    print(
        f"teacher: {total} of {row_count} trajectories accepted ({by_try} by try), {row_count - total} by rules",
        file=sys.stderr,
    )


def _analysis_prefix(text: str) -> str | None:
    """The analysis as far as a text has it, with the label of its missing line; None where no line is missing."""
    prefix = FORM.prefix_with_next_label(text)
    if prefix is None or prefix.endswith(REWRITE):
        return None
    return prefix


def _join_continuation(prefix: str, continuation: str) -> str:
    """The prefix and what comes after it. Many servers answer anew instead of continuing the assistant's turn."""
    if continuation.startswith(SHOWS):
        return continuation
    label = prefix.splitlines()[-1]
    return f"{prefix} {continuation.removeprefix(label).strip()}"


def read_analysis(row: TrainingRow, text: str) -> Trajectory | None:
    """Read the analysis that a teacher's text begins with, whatever the text goes on with.

    Args:
        row: The row it was written for.
        text: What the teacher wrote.

    Returns:
        A trajectory with these two lines and with the target as the rewrite. None where the lines are not of the form,
        do not end, or are those of the example in the prompt.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]

    _, example_answer = FEW_SHOT[row.task.kind]
    if set(lines) & set(example_answer.content.splitlines()):
        return None
    if any(len(line.split()) > MOST_WORDS for line in lines):
        return None

    return FORM.parse("\n".join([*lines, f"{REWRITE} {one_line(row.target)}"]))


def _check_answered(completions: Sequence[Completion]) -> None:
    failures = [answer.failure for answer in completions if answer.failure and not answer.permanent]
    if failures:
        raise RpobenchError(
            f"teacher: {len(failures)} of {len(completions)} requests have no answer ({failures[0]}): "
            "the same command asks them again and goes on"
        )
