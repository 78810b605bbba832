"""The analysis of a trajectory by rule: what evidence, input and draft show, and where the draft departs from it.

The analysis is computed without the target, so it cannot state what only the target shows. The facts are meant for any
LaMP text (labels, ratings, lengths, openers, endings, recurring words) and know nothing of how the synthetic world is
made.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.rpo.trajectories.analysis import UNKNOWN, Analysis, conclude
from rpobench.rpo.trajectories.rating_rules import analyse_ratings
from rpobench.rpo.trajectories.reference_rules import analyse_references
from rpobench.rpo.trajectories.style_rules import analyse_style
from rpobench.rpo.trajectories.word_habits import WordHabits
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem


def analyse(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], habits: WordHabits) -> Analysis:
    """Write what the history shows, and where the draft departs from it. Never sees the target.

    Args:
        task: The example's task.
        example: The input.
        draft: The base model's answer.
        evidence: The profile items that the module is shown, best first.
        habits: What the histories of many users of the task tell of words.

    Returns:
        The two lines of the analysis.
    """
    if not evidence:
        return Analysis("nothing", UNKNOWN)

    if task.kind == "rating":
        return analyse_ratings(task, example, draft, evidence, habits)
    if task.kind == "label":
        if task.answer_field:
            return analyse_labels(task, draft, evidence)
        return analyse_references(task, example, draft, evidence, habits)
    return analyse_style(task, example, draft, evidence)


def analyse_labels(task: Task, draft: str, evidence: Sequence[ProfileItem]) -> Analysis:
    """List the labels of the items by closeness: a small model copies them, but cannot count. The closest one fits.

    Args:
        task: A task whose items have labels.
        draft: The base model's answer.
        evidence: At least one profile item, best first.

    Returns:
        The two lines of the analysis.
    """
    closest, *others = (item.fields[task.answer_field] for item in evidence)
    shows = f"closest {closest}; then {', '.join(others)}" if others else f"closest {closest}"

    return Analysis(shows, conclude(closest, agrees=task.parse(draft) == closest))
