"""What the judges read: items of a history beside a query, and candidate answers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rpobench.baselines.hydra.candidates import Candidates
from rpobench.baselines.hydra.judge import Row

from rpobench.api import Evidence, Example, ProfileItem, Task


def item_rows(task: Task, example: Example, items: Sequence[ProfileItem], target: str | None = None) -> list[Row]:
    """Build a row for each past item. Its hint is 1 / rank, so that the retriever's best item has 1.

    Args:
        task: Words the items and scores their answers.
        example: What is asked.
        items: Past items in the retriever's order, best first.
        target: The right answer; None where nothing is learned from the rows.

    Returns:
        One row an item. Its target is the score of the item's own answer; 0 without a target.
    """
    query = task.retrieval_query(example)

    rows = []
    for rank, item in enumerate(items, start=1):
        value = 0.0 if target is None else task.score(item.fields[task.answer_field], target)
        rows.append(Row(query, task.show(item), (1 / rank,), value))

    return rows


def candidate_rows(
    task: Task, example: Example, candidates: Candidates, evidence: Evidence, target: str | None = None
) -> list[Row]:
    """Build a row for each candidate, and to learn from one more for the target of a text, which scores 1.

    There are two hints. The first is whether the base model chose this label; a text that somebody wrote was never the
    model's, so for texts it tells nothing. The second is how well the candidate agrees with the evidence's answers.

    Args:
        task: Scores answers.
        example: What is asked.
        candidates: What the base model would answer.
        evidence: What it was shown of the history.
        target: The right answer; None where nothing is learned from the rows.

    Returns:
        The rows in the order of the candidates. Their targets are the candidates' scores; 0 without a target.
    """
    query = task.retrieval_query(example)
    past_answers = [item.fields[task.answer_field] for item in evidence.items]

    texts = list(candidates.texts)
    if target is not None and not task.labels:
        texts.append(target)

    rows = []
    for text in texts:
        is_models_choice = bool(task.labels) and text == candidates.greedy

        agreement = fmean(task.score(text, answer) for answer in past_answers) if past_answers else 0.0
        value = 0.0 if target is None else task.score(text, target)
        rows.append(Row(query, text, (float(is_models_choice), agreement), value))

    return rows
