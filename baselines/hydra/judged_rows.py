"""What the judges read: items of a history beside a query, and candidate answers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rpobench.baselines.hydra.candidates import Candidates
from rpobench.baselines.hydra.judge import Row

from rpobench.task.contract import Task
from rpobench.types import Evidence, Example, ProfileItem


def item_rows(task: Task, example: Example, items: Sequence[ProfileItem], target: str | None = None) -> list[Row]:
    """A row for each item, given in the retriever's order: its place is a hint, its answer's score the target."""
    query = task.retrieval_query(example)
    return [
        Row(
            query,
            task.show(item),
            (1 / rank,),
            0.0 if target is None else task.score(item.fields[task.answer_field], target),
        )
        for rank, item in enumerate(items, start=1)
    ]


def candidate_rows(
    task: Task, example: Example, found: Candidates, shown: Evidence, target: str | None = None
) -> list[Row]:
    """A row for each candidate, and to learn from one more for the target of a text, which scores 1.

    Hints: whether the base model chose this label (a text that somebody wrote was never the model's, so there it
    tells nothing), and how well the candidate agrees with the answers in the evidence.
    """
    query = task.retrieval_query(example)
    texts = [*found.texts, target] if target is not None and not task.labels else found.texts
    answers = [item.fields[task.answer_field] for item in shown.items]
    return [
        Row(
            query,
            text,
            (
                float(bool(task.labels) and text == found.greedy),
                fmean(task.score(text, answer) for answer in answers) if answers else 0.0,
            ),
            0.0 if target is None else task.score(text, target),
        )
        for text in texts
    ]
