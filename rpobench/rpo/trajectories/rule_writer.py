"""Writes trajectories by rules, without a model: measured facts, task by task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rpobench.rpo.form import Trajectory, one_line
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.rules import analyse
from rpobench.rpo.trajectories.word_habits import WordHabits
from rpobench.types import ProfileItem, Usage


class RuleWriter:
    """Writes the analysis of `rules.analyse`; the rewrite is the target."""

    usage = Usage()

    def write(self, rows: Sequence[TrainingRow]) -> list[Trajectory]:
        habits_by_task = {}
        for task in {row.task.name: row.task for row in rows}.values():
            histories = collect_histories(row for row in rows if row.task.name == task.name)
            habits_by_task[task.name] = WordHabits(task, histories)

        return [write_trajectory(row, habits_by_task[row.task.name]) for row in rows]


def write_trajectory(row: TrainingRow, habits: WordHabits) -> Trajectory:
    """Write the trajectory of one row. Its analysis never sees the target.

    Args:
        row: The training row.
        habits: What the histories of many users of the task tell of words.

    Returns:
        The trajectory, which ends in the target.
    """
    analysis = analyse(row.task, row.example, row.draft, row.evidence, habits)

    return Trajectory(one_line(analysis.shows), one_line(analysis.lacks), one_line(row.target))


def collect_histories(rows: Iterable[TrainingRow]) -> list[list[ProfileItem]]:
    """Collect what is known of each user.

    Args:
        rows: Training rows of one task.

    Returns:
        One history per user: the items that her rows show, each once.
    """
    items_by_user: dict[str, dict[str, ProfileItem]] = {}
    for row in rows:
        items_by_id = items_by_user.setdefault(row.example.user_id, {})
        for item in row.evidence:
            items_by_id[item.id] = item

    return [list(items_by_id.values()) for items_by_id in items_by_user.values()]
