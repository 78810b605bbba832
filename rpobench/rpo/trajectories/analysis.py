"""The two lines of an analysis, and the conclusion that they draw."""

from __future__ import annotations

from typing import NamedTuple

from rpobench.rpo.form import Trajectory
from rpobench.task.contract import Task

RATINGS = ("closest", "highest", "lowest")  # of those a user gave: the names that an analysis gives them
UNKNOWN = "nothing known"  # what a draft lacks where the history does not say


class Analysis(NamedTuple):
    """What a trajectory says before its rewrite.

    Attributes:
        shows: What the history tells of the user.
        lacks: Where the draft departs from it.
    """

    shows: str
    lacks: str


def conclude(fitting: str, *, agrees: bool) -> str:
    """Write which answer fits the user, and whether the draft agrees with it.

    A small model can copy that answer, but cannot count the gap to it.
    """
    return f"nothing, {fitting} fits" if agrees else f"{fitting} fits"


def name_closer(label: str) -> str:
    """Write that the text of this label is closer to the history."""
    return f"{label} is closer"


def reaches_wrong_conclusion(task: Task, trajectory: Trajectory) -> bool:
    """Tell whether the analysis says that another label or rating fits than the rewrite has.

    Such an answer would teach that an answer need not follow from its analysis.

    Args:
        task: The task of the trajectory.
        trajectory: A trajectory whose rewrite is the target.

    Returns:
        True where the analysis contradicts the rewrite; False where it concludes nothing.
    """
    for label in task.labels:
        if label == trajectory.rewrite:
            continue

        if trajectory.shows.endswith(name_closer(label)):
            return True
        for answer in (label, *(f"{name} {label}" for name in RATINGS)):
            if trajectory.lacks in (conclude(answer, agrees=True), conclude(answer, agrees=False)):
                return True

    return False
