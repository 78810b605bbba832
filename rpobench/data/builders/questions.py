"""Makes questions of a person's writings: the latest ones, each with what the person wrote before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rpobench.data.builders.passages import fold
from rpobench.data.builders.task_rules import TaskRules
from rpobench.data.builders.writing import Tally, Writing
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, ProfileItem

QUESTIONS_OF_A_PERSON = 4  # at most, in a task


class Asker(Protocol):
    """Turns a writing into a question of a task."""

    def ask(self, writing: Writing, owner: str) -> tuple[str, str] | None:
        """Return input and target; None where this writing makes no question."""
        ...

    def is_answered_by(self, profile: Sequence[Writing], writing: Writing) -> bool:
        """Say whether the target of a writing stands in a profile."""
        ...


@dataclass(frozen=True)
class TitleAsker:
    """Asks for the title of a text, as every task does whose items are texts with titles.

    Attributes:
        task: The task.
    """

    task: Task

    def ask(self, writing: Writing, owner: str) -> tuple[str, str]:
        return f"{self.task.instruction}{writing.text}", writing.title

    def is_answered_by(self, profile: Sequence[Writing], writing: Writing) -> bool:
        title = fold(writing.title)
        texts = [f" {fold(item.text)} " for item in profile]

        return any(fold(item.title) == title for item in profile) or any(f" {title} " in text for text in texts)


@dataclass(frozen=True)
class QuestionMaker:
    """Makes the questions of a task.

    Attributes:
        task: The task.
        rules: Who counts, and how questions are made.
        asker: Turns a writing into a question.
        tally: Counts the questions that are left out.
    """

    task: Task
    rules: TaskRules
    asker: Asker
    tally: Tally

    def make(self, person: str, split: str, writings: Sequence[Writing]) -> Iterator[Labelled]:
        """Make the questions of one person, the latest first.

        Args:
            person: The hashed name.
            split: The split that the person is in.
            writings: What the person wrote, the oldest first.

        Yields:
            At most `QUESTIONS_OF_A_PERSON` examples with their targets. A profile holds only what was written strictly
            before, the oldest first.
        """
        times = [writing.time for writing in writings]
        first_day = self.rules.first_day(split)
        count = 0

        for writing in reversed(writings):
            earlier = writings[: bisect_left(times, writing.time)]
            is_too_old = first_day is not None and writing.day < first_day
            if count == QUESTIONS_OF_A_PERSON or len(earlier) < self.rules.least - 1 or is_too_old:
                return

            question = self.asker.ask(writing, person)
            if question is None:
                continue

            profile = earlier[-self.rules.profile_items :]
            if self.asker.is_answered_by(profile, writing):
                self.tally.leave_out("questions whose answer stands in the profile")
                continue

            items = tuple(self._make_item(item) for item in profile)
            yield Labelled(Example(self.rules.hash_key(writing.key), person, question[0], items), question[1])
            count += 1

    def _make_item(self, writing: Writing) -> ProfileItem:
        title_field, text_field = self.task.fields
        fields = {title_field: writing.title, text_field: writing.text}
        return ProfileItem(self.rules.hash_key(writing.key), fields, writing.day)
