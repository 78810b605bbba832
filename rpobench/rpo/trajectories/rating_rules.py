"""The analysis of a rating by rule: what the user gave, and the words of praise and blame in the input."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.rpo.trajectories.analysis import RATINGS, UNKNOWN, Analysis, conclude
from rpobench.rpo.trajectories.word_habits import WordHabits, content_words
from rpobench.task.contract import Task
from rpobench.task.metrics import read_rating
from rpobench.types import Example, ProfileItem


def analyse_ratings(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], habits: WordHabits
) -> Analysis:
    """List the user's ratings, name some of them, and conclude from praise and blame in the input.

    The ratings stand as they are shown, the closest item's last, then by name. Praise alone fits her highest rating,
    blame alone her lowest, both or neither that of the closest item. A small model copies a list, reads names off it,
    and copies again what followed a name.

    Args:
        task: A task of ratings.
        example: The input.
        draft: The base model's answer.
        evidence: The profile items that the module is shown, best first.
        habits: Which words go with praise and which with blame.

    Returns:
        The two lines of the analysis.
    """
    values = [read_rating(item.fields[task.answer_field]) for item in evidence]
    ratings = [value for value in values if value is not None]
    if not ratings:
        return Analysis("no ratings", UNKNOWN)

    rating_by_name = dict(zip(RATINGS, (ratings[0], max(ratings), min(ratings)), strict=True))
    praise, blame = _strongest_words(task.content(example), habits)
    fitting_name = _name_fitting_rating(praise, blame)

    listed = " ".join(f"{value:g}" for value in reversed(ratings))
    names = [f"{name} {value:g}" for name, value in rating_by_name.items()]
    shows = "; ".join([f"gave {listed}", *names, f"praise {praise or 'nothing'}", f"blame {blame or 'nothing'}"])

    fitting = rating_by_name[fitting_name]
    lacks = conclude(f"{fitting_name} {fitting:g}", agrees=read_rating(task.parse(draft)) == fitting)
    return Analysis(shows, lacks)


def _name_fitting_rating(praise: str, blame: str) -> str:
    """Which of the user's ratings (`RATINGS`) fits a text with this word of praise and this word of blame."""
    if bool(praise) == bool(blame):
        return "closest"
    return "highest" if praise else "lowest"


def _strongest_words(text: str, habits: WordHabits) -> tuple[str, str]:
    """The word that most goes with praise, and the one that most goes with blame; "" where there is none."""
    leanings = {word: habits.leaning(word) for word in content_words(text)}
    if not leanings:
        return "", ""

    highest = max(leanings, key=leanings.__getitem__)
    lowest = min(leanings, key=leanings.__getitem__)

    praise = highest if leanings[highest] > 0 else ""
    blame = lowest if leanings[lowest] < 0 else ""
    return praise, blame
