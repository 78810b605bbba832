"""What the histories of many users tell of words: which of them users come back to, and which go with praise or blame.

Read from profile items alone, those that training rows are shown; no target is among them.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean

from rpobench.task.contract import Task
from rpobench.task.metrics import read_rating
from rpobench.types import ProfileItem

WORD = re.compile(r"[a-z0-9']+")
# Words too common to tell one text from another; an English function-word list of our own.
COMMON_WORDS = """a an and are as at be but by for from has have he her his i in is it its my of on or our she that
the their they this to was we were with you your"""
COMMON = frozenset(COMMON_WORDS.split())
LEAST_ERRORS = 2.5  # standard errors from 0, from which on a word's ratings are no accident
LEAST_ITEMS = 3  # that must hold a word before its ratings count

History = Sequence[ProfileItem]  # the items of one user


def content_words(text: str) -> list[str]:
    """Split a text into lower-case words, in order, without the most common ones."""
    return [word for word in WORD.findall(text.lower()) if word not in COMMON]


class WordHabits:
    """Counts words over histories. Without any history, all words are alike."""

    def __init__(self, task: Task, histories: Iterable[History] = ()) -> None:
        """Count.

        Args:
            task: The task of the items.
            histories: The items of each user.
        """
        with_items = [history for history in histories if history]

        self._return_rates = _return_rates(task, with_items)
        self._leanings = _leanings(task, with_items) if task.kind == "rating" else {}

    def return_rate(self, word: str) -> float:
        """How many times likelier than by chance somebody who used the word uses it again.

        After Church 2000, "Empirical estimates of adaptation", smoothed by one user at chance. Infinite where chance
        alone would not bring one repetition, so that to see none tells nothing.
        """
        return self._return_rates.get(word, math.inf)

    def leaning(self, word: str) -> float:
        """By how many standard errors items with this word are rated above (+) or below (-) their user's mean.

        0 where the items are few or it may be an accident.
        """
        return self._leanings.get(word, 0.0)


def _leanings(task: Task, histories: Sequence[History]) -> dict[str, float]:
    """Words that go with praise (+) or blame (-), in standard errors of the mean offset of the items that hold them."""
    offsets_by_word: dict[str, list[float]] = defaultdict(list)
    squares: list[float] = []
    for history in histories:
        for item, offset in _rating_offsets(task, history):
            squares.append(offset**2)
            for word in set(content_words(task.retrieval_text(item))):
                offsets_by_word[word].append(offset)

    spread = math.sqrt(mean(squares)) if squares else 0.0
    if not spread:
        return {}

    leanings = {}
    for word, offsets in offsets_by_word.items():
        leaning = mean(offsets) * math.sqrt(len(offsets)) / spread
        if len(offsets) >= LEAST_ITEMS and abs(leaning) >= LEAST_ERRORS:
            leanings[word] = leaning

    return leanings


def _rating_offsets(task: Task, history: History) -> list[tuple[ProfileItem, float]]:
    """Each rated item with its rating less the mean of these items."""
    rated = []
    for item in history:
        value = read_rating(item.fields[task.answer_field])
        if value is not None:
            rated.append((item, value))

    if not rated:
        return []

    user_mean = mean(value for _, value in rated)
    return [(item, value - user_mean) for item, value in rated]


def _return_rates(task: Task, histories: Sequence[History]) -> dict[str, float]:
    """How many times likelier than by chance users of a word have it in a second item.

    It is the share of those who do among all who used the word, over the share that dealing out the items at random
    would give.
    """
    user_counts: Counter[str] = Counter()
    returning_counts: Counter[str] = Counter()
    item_counts: Counter[str] = Counter()
    for history in histories:
        counts = _count_items_by_word(task, history)
        item_counts.update(counts)
        user_counts.update(counts.keys())
        returning_counts.update(word for word, count in counts.items() if count > 1)

    total_items = sum(len(history) for history in histories)
    rates = {}
    for word, users in user_counts.items():
        items_per_user = total_items / len(histories)

        chance = _chance_of_return(item_counts[word] / total_items, items_per_user)
        if users * chance >= 1:
            smoothed_share = (returning_counts[word] + chance) / (users + 1)
            rates[word] = smoothed_share / chance

    return rates


def _count_items_by_word(task: Task, history: History) -> Counter[str]:
    counts: Counter[str] = Counter()
    for item in history:
        counts.update(set(content_words(task.show(item))))
    return counts


def _chance_of_return(share: float, items_per_user: float) -> float:
    """How likely a user who has the word has it twice or more, if items were dealt out at random.

    `share` is that of all items that hold the word.
    """
    exactly_once: float = items_per_user * share * (1 - share) ** (items_per_user - 1)
    at_least_once: float = 1 - (1 - share) ** items_per_user

    return 1 - exactly_once / at_least_once
