"""LaMP's official metrics of one answer (arXiv 2304.11406, section 2.3 and its released scorer).

Texts are taken as they are: what an answer looks like before it is scored is the business of `Task.parse`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

SEEN_BY_ROUGE = re.compile("[a-z0-9]")  # after the lower case that ROUGE takes first
LOWEST, HIGHEST = 1.0, 5.0  # LaMP-3's scale


@cache
def _rouge_scorer() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer  # brings nltk and scikit-learn: seconds that only texts need

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=False)


@lru_cache(maxsize=4096)  # score, measures and every metric of a run ask for the same pairs
def rouge(text: str, target: str) -> tuple[float, float]:
    """Compute F1 of ROUGE-1 and of ROUGE-L without stemming.

    Args:
        text: The answer.
        target: Its target.

    Returns:
        ROUGE-1 and ROUGE-L, each in [0, 1].
    """
    scores = _rouge_scorer().score(target, text)

    return scores["rouge1"].fmeasure, scores["rougeL"].fmeasure


def rouge_1(text: str, target: str) -> float:
    """Return F1 of ROUGE-1 without stemming, in [0, 1]."""
    return rouge(text, target)[0]


def rouge_l(text: str, target: str) -> float:
    """Return F1 of ROUGE-L without stemming, in [0, 1]."""
    return rouge(text, target)[1]


def warn_of_unseen(name: str, texts: Sequence[str]) -> str | None:
    """Say how many texts hold no word of ROUGE's, which knows the letters a to z and digits alone.

    Args:
        name: What the texts are, such as `golds`.
        texts: The texts. Blank ones are not counted.

    Returns:
        The warning; None where ROUGE sees something in every text.
    """
    unseen = [text for text in texts if text.strip() and not SEEN_BY_ROUGE.search(text.lower())]

    if not unseen:
        return None
    return (
        f"{len(unseen)} of {len(texts)} {name} hold no letter a-z and no digit, such as {unseen[0][:40]!r}: "
        "ROUGE sees nothing in them and scores 0"
    )


def label_indices(texts: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the index of each text in the list of labels; -1 for a text outside it."""
    index_by_label = {label: index for index, label in enumerate(labels)}

    return [index_by_label.get(text.strip(), -1) for text in texts]


def read_rating(text: str) -> float | None:
    """Read the number that a text is; None where it is no number, and for `nan` and `inf`."""
    try:
        value = float(text)
    except ValueError:
        return None

    return value if math.isfinite(value) else None


def rating_error(text: str, target: str) -> float:
    """Return the absolute error of a rating.

    A text that is no number counts as the farther end of the scale (official rule).

    Args:
        text: The answer.
        target: Its target, a number.

    Returns:
        The error, in points of the scale.
    """
    expected, answered = float(target), read_rating(text)

    if answered is None:
        return max(abs(expected - LOWEST), abs(expected - HIGHEST))
    return abs(answered - expected)
