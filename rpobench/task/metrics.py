"""LaMP's official metrics (arXiv 2304.11406, section 2.3 and its released scorer), per example and over a run.

Texts are taken as they are: what a method's answer looks like before scoring is `Task.parse`'s affair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

LOWEST, HIGHEST = 1.0, 5.0  # LaMP-3's scale


@cache
def _rouge() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer  # brings nltk and scikit-learn: seconds that only texts need

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=False)


def rouge(text: str, target: str) -> tuple[float, float]:
    """F1 of ROUGE-1 and ROUGE-L without stemming, each in [0, 1]."""
    found = _rouge().score(target, text)
    return found["rouge1"].fmeasure, found["rougeL"].fmeasure


def mean_rouge(texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Plain means. The official figure is a bootstrap median over the same scores and moves from run to run."""
    pairs = [rouge(text, target) for text, target in zip(texts, targets, strict=True)]
    return {"rouge-1": sum(p[0] for p in pairs) / len(pairs), "rouge-L": sum(p[1] for p in pairs) / len(pairs)}


def classification(texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1 over the fixed label list; an answer outside the list is a class of its own, -1."""
    from sklearn.metrics import accuracy_score, f1_score

    found, gold = classes(texts, labels), classes(targets, labels)
    macro = f1_score(gold, found, labels=range(len(labels)), average="macro", zero_division=0)
    return {"accuracy": float(accuracy_score(gold, found)), "f1": float(macro)}


def classes(texts: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The place of each text in the list of labels; -1 for what is none."""
    places = {label: place for place, label in enumerate(labels)}
    return [places.get(text.strip(), -1) for text in texts]


def rating(text: str) -> float | None:
    """The number a text is, or None: `nan` and `inf` are none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def rating_error(text: str, target: str) -> float:
    """Absolute error; a text that is no number counts as the farther end of the scale (official rule)."""
    gold, found = float(target), rating(text)
    if found is None:
        return max(abs(gold - LOWEST), abs(gold - HIGHEST))
    return abs(found - gold)


def rating_errors(texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """MAE and RMSE over the scale as it is: a rating outside 1..5 enters with its full error (official rule)."""
    errors = [rating_error(text, target) for text, target in zip(texts, targets, strict=True)]
    return {
        "MAE": sum(errors) / len(errors),
        "RMSE": math.sqrt(sum(error * error for error in errors) / len(errors)),
    }
