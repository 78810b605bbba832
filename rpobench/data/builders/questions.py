"""Makes questions of a person's writings: the latest ones, each with what the person wrote before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from rpobench.data.builders.passages import fold
from rpobench.data.builders.task_rules import TaskRules
from rpobench.data.builders.writing import Tally, Writing
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, ProfileItem

QUESTIONS_OF_A_PERSON = 4  # at most, in a task


def make_questions(
    task: Task, person: str, split: str, writings: Sequence[Writing], rules: TaskRules, tally: Tally
) -> Iterator[Labelled]:
    """Make the questions of one person, the latest first.

    Args:
        task: The task.
        person: The hashed name.
        split: The split that the person is in.
        writings: What the person wrote, the oldest first.
        rules: How questions are made.
        tally: Counts the questions that are left out.

    Yields:
        At most `QUESTIONS_OF_A_PERSON` examples with their targets. A profile holds only what was written strictly
        before, the oldest first.
    """
    times = [writing.time for writing in writings]
    first_day = rules.first_day(split)
    count = 0

    for writing in reversed(writings):
        earlier = writings[: bisect_left(times, writing.time)]
        is_too_old = first_day is not None and writing.day < first_day
        if count == QUESTIONS_OF_A_PERSON or len(earlier) < rules.least - 1 or is_too_old:
            return

        profile = earlier[-rules.profile_items :]
        if _holds_answer(profile, writing):
            tally.leave_out("questions whose answer stands in the profile")
            continue

        items = tuple(_make_item(task, item, rules) for item in profile)
        example = Example(rules.hash_key(writing.key), person, f"{task.instruction}{writing.text}", items)
        yield Labelled(example, writing.title)
        count += 1


def _make_item(task: Task, writing: Writing, rules: TaskRules) -> ProfileItem:
    title_field, text_field = task.fields
    return ProfileItem(rules.hash_key(writing.key), {title_field: writing.title, text_field: writing.text}, writing.day)


def _holds_answer(profile: Sequence[Writing], writing: Writing) -> bool:
    """Say whether a profile has the title of a writing, as a title or within a text."""
    title = fold(writing.title)
    texts = [f" {fold(item.text)} " for item in profile]

    return any(fold(item.title) == title for item in profile) or any(f" {title} " in text for text in texts)
