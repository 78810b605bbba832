"""What the histories of many users tell of words: which of them users come back to, and which go with praise or blame.

Read from profile items alone, those that training rows are shown; no target is among them.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import mean

from rpobench.task.contract import Task
from rpobench.task.metrics import rating
from rpobench.types import ProfileItem

WORD = re.compile(r"[a-z0-9']+")
# Words too common to tell one text from another; an English function-word list of our own.
COMMON_WORDS = """a an and are as at be but by for from has have he her his i in is it its my of on or our she that
the their they this to was we were with you your"""
COMMON = frozenset(COMMON_WORDS.split())
ERRORS = 2.5  # standard errors from 0 at which a word's ratings are no accident
HOLDERS = 3  # items that must hold a word before its ratings count


def content_words(text: str) -> list[str]:
    """Lower-case words in order, without the most common ones."""
    return [word for word in WORD.findall(text.lower()) if word not in COMMON]


class Histories:
    """Counts over `histories`, each the items of one user; without any, all words are alike."""

    def __init__(self, task: Task, histories: Iterable[Sequence[ProfileItem]] = ()) -> None:
        given = [items for items in histories if items]
        self._returns = _returns(task, given)
        self._leaning = _leanings(task, given) if task.kind == "rating" else {}

    def returns(self, word: str) -> float:
        """How many times likelier than by chance somebody who used the word uses it again (Church 2000, "Empirical
        estimates of adaptation"), smoothed by one user at chance; infinite where not one repetition is to be expected
        by chance, so that none tells nothing."""
        return self._returns.get(word, math.inf)

    def leaning(self, word: str) -> float:
        """Standard errors by which items with this word are rated above (+) or below (-) their user's mean; 0 where
        they are few or that may be an accident."""
        return self._leaning.get(word, 0.0)


def _leanings(task: Task, histories: Sequence[Sequence[ProfileItem]]) -> dict[str, float]:
    offsets: dict[str, list[float]] = defaultdict(list)
    squares: list[float] = []
    for items in histories:
        for item, offset in _offsets(task, items):
            squares.append(offset**2)
            for word in set(content_words(task.retrieval_text(item))):
                offsets[word].append(offset)
    spread = math.sqrt(mean(squares)) if squares else 0.0
    if not spread:
        return {}
    errors = {word: mean(own) * math.sqrt(len(own)) / spread for word, own in offsets.items() if len(own) >= HOLDERS}
    return {word: error for word, error in errors.items() if abs(error) >= ERRORS}


def _offsets(task: Task, items: Sequence[ProfileItem]) -> Iterator[tuple[ProfileItem, float]]:
    """Each rated item with its rating less the mean of these items."""
    rated = [(item, value) for item in items if (value := rating(item.fields[task.answer_field])) is not None]
    middle = mean(value for _, value in rated) if rated else 0.0
    return ((item, value - middle) for item, value in rated)


def _returns(task: Task, histories: Sequence[Sequence[ProfileItem]]) -> dict[str, float]:
    """Users of a word in two items or more among all who used it: the share found, over that of a random deal."""
    counts = [Counter(word for item in items for word in set(content_words(task.show(item)))) for items in histories]
    users = Counter(word for one in counts for word in one)
    again = Counter(word for one in counts for word, count in one.items() if count > 1)
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    items = sum(map(len, histories))
    found = {}
    for word in users:
        share, each = total[word] / items, items / len(histories)
        chance = 1 - each * share * (1 - share) ** (each - 1) / (1 - (1 - share) ** each)
        if users[word] * chance >= 1:
            found[word] = (again[word] + chance) / (users[word] + 1) / chance
    return found
