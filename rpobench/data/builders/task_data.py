"""Builds the data of one task: writings without duplicates, their owners, and the questions of every split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rpobench.data.builders.owners import choose_owners, choose_split
from rpobench.data.builders.passages import fold_numbers
from rpobench.data.builders.people import People, identify_people
from rpobench.data.builders.questions import Asker, QuestionMaker, TitleAsker
from rpobench.data.builders.references import ReferenceAsker
from rpobench.data.builders.repository import Repository
from rpobench.data.builders.sources import Reader
from rpobench.data.builders.task_rules import TaskRules
from rpobench.data.builders.writing import Tally, Writing
from rpobench.data.official.built import BuiltCounts
from rpobench.data.official.folder import SPLITS
from rpobench.task.contract import Task
from rpobench.types import Labelled, RpobenchError


@dataclass(frozen=True)
class TaskData:
    """What a source gave to a task.

    Attributes:
        task: The task.
        questions: The questions of each split.
        tally: What was left out.
    """

    task: Task
    questions: Mapping[str, Sequence[Labelled]]
    tally: Tally

    def count(self) -> BuiltCounts:
        """Count people, questions and what was left out, as the manifest says it."""
        people = {}
        for split, questions in self.questions.items():
            people[split] = len({question.example.user_id for question in questions})

        return BuiltCounts(
            people=people,
            questions={split: len(questions) for split, questions in self.questions.items()},
            left_out=dict(sorted(self.tally.writings.items())),
            cut_out=dict(sorted(self.tally.passages.items())),
        )


def build_task(task: Task, read: Reader, clones: Sequence[Repository], rules: TaskRules) -> TaskData:
    """Build the data of one task.

    Args:
        task: The task.
        read: Reads the writings of clones, and counts what it leaves out.
        clones: The clones.
        rules: Who counts, and how questions are made.

    Returns:
        The data, which may hold no question.

    Raises:
        RpobenchError: A clone cannot be read, or somebody to remove is not there.
    """
    tally = Tally()
    writings = sorted(read(clones, tally), key=lambda writing: (writing.time, writing.key))
    writings = list(_drop_duplicates(writings, tally))

    people = identify_people(writings, rules.prefix, rules.salt)
    writings = _remove_people(writings, people, rules, tally)
    writings_by_owner = choose_owners(writings, people, rules.least, tally)
    maker = QuestionMaker(task, rules, _choose_asker(task, writings, writings_by_owner, rules), tally)

    questions: dict[str, list[Labelled]] = {split: [] for split in SPLITS}
    for person in sorted(writings_by_owner):
        split = choose_split(person, rules.salt)
        questions[split] += maker.make(person, split, writings_by_owner[person])
    return TaskData(task, questions, tally)


def _choose_asker(
    task: Task, writings: Sequence[Writing], writings_by_owner: Mapping[str, Sequence[Writing]], rules: TaskRules
) -> Asker:
    if not task.labels:
        return TitleAsker(task)

    owners = {writing.key: person for person, owned in writings_by_owner.items() for writing in owned}
    return ReferenceAsker(writings, owners, rules.salt)


def _drop_duplicates(writings: Sequence[Writing], tally: Tally) -> Iterator[Writing]:
    """Yield the first of all writings whose texts differ in numbers, versions and hashes alone."""
    folded_texts, keys = set(), set()
    for writing in writings:
        folded_text = fold_numbers(writing.text)
        if folded_text in folded_texts or writing.key in keys:
            tally.leave_out("duplicates")
            continue

        folded_texts.add(folded_text)
        keys.add(writing.key)
        yield writing


def _remove_people(writings: Sequence[Writing], people: People, rules: TaskRules, tally: Tally) -> list[Writing]:
    """Leave out all writings of who asked for it; raises RpobenchError where an id is nobody's: it may be misspelt."""
    nobody = rules.removed - set(people.ids.values())
    if nobody:
        raise RpobenchError(f"--leave-out {min(nobody)}: nobody has this id: copy it from a questions file")

    others = [writing for writing in writings if rules.removed.isdisjoint(people.list_authors(writing))]
    for _ in range(len(writings) - len(others)):
        tally.leave_out("removed on request")
    return others


def explain_nothing(parts: Sequence[TaskData], clones: Sequence[Repository], rules: TaskRules) -> str:
    """Say in one line why no question could be made.

    Args:
        parts: What the source gave to its tasks, without a question.
        clones: What was read.
        rules: Who counts.

    Returns:
        The line.
    """
    tasks = " and ".join(part.task.name for part in parts)
    counts = [f"{reason} {count}" for reason, count in parts[0].tally.writings.most_common()]
    since = f" and a question since {rules.since}" if rules.since else ""

    return (
        f"--repo {', '.join(clone.path for clone in clones)}: nobody has {rules.least} usable writings{since} for "
        f"{tasks}: lower --least or add a --repo; left out: {', '.join(counts) or 'nothing'}"
    )
