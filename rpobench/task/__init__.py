"""The contract of a task, its three kinds, and their scorers.

A package of tasks imports from here: `from rpobench.task import PairedItems, TextTask`.
"""

from __future__ import annotations

from rpobench.task.contract import Task
from rpobench.task.kinds import LabelTask, PairedItems, RatingTask, TextTask
from rpobench.task.scorers import Direction, Metric, Scorer

__all__ = ["Direction", "LabelTask", "Metric", "PairedItems", "RatingTask", "Scorer", "Task", "TextTask"]
