"""Builds the data of one task: writings without duplicates, their owners, and the questions of every split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rpobench.data.builders.owners import choose_owners, choose_split
from rpobench.data.builders.passages import fold_numbers
from rpobench.data.builders.people import People, identify_people
from rpobench.data.builders.questions import make_questions
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
        The data, with at least one question.

    Raises:
        RpobenchError: A clone cannot be read, nobody has enough writings, or somebody to remove is not there.
    """
    tally = Tally()
    writings = sorted(read(clones, tally), key=lambda writing: (writing.time, writing.key))
    writings = list(_drop_duplicates(writings, tally))

    people = identify_people(writings, rules.prefix, rules.salt)
    owners = choose_owners(writings, people, rules.least, tally)
    _remove_people(owners, people, rules, tally)

    questions: dict[str, list[Labelled]] = {split: [] for split in SPLITS}
    for person in sorted(owners):
        split = choose_split(person, rules.salt)
        questions[split] += make_questions(task, person, split, owners[person], rules, tally)

    if not any(questions.values()):
        raise RpobenchError(_explain_nothing(task, clones, rules, tally))
    return TaskData(task, questions, tally)


def _drop_duplicates(writings: Sequence[Writing], tally: Tally) -> Iterator[Writing]:
    """Yield the first of all writings whose texts differ in numbers, versions and hashes alone."""
    folded_texts = set()
    for writing in writings:
        folded_text = fold_numbers(writing.text)
        if folded_text in folded_texts:
            tally.leave_out("duplicates")
            continue

        folded_texts.add(folded_text)
        yield writing


def _remove_people(owners: dict[str, list[Writing]], people: People, rules: TaskRules, tally: Tally) -> None:
    """Take out who asked for it; raises RpobenchError where an id is nobody's, since it may be misspelt."""
    for person in sorted(rules.removed):
        if person not in people.ids.values():
            raise RpobenchError(f"--leave-out {person}: nobody has this id: copy it from `user_id` in a questions file")

        for _ in owners.pop(person, []):
            tally.leave_out("removed on request")


def _explain_nothing(task: Task, clones: Sequence[Repository], rules: TaskRules, tally: Tally) -> str:
    """Say in one line why no question could be made."""
    counts = [f"{reason} {count}" for reason, count in tally.writings.most_common()]
    since = f" and a question since {rules.since}" if rules.since else ""

    return (
        f"--repo {', '.join(clone.path for clone in clones)}: nobody has {rules.least} usable writings{since} for "
        f"{task.name}: lower --least or add a --repo; left out: {', '.join(counts) or 'nothing'}"
    )
