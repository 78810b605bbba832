"""Metrics beside the official ones: ROUGE-2, BLEU and METEOR of texts; F1 of each label and confusion of labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpobench.task.contract import Task

EXTRA_KINDS = ("text", "label")  # the kinds of task that have metrics beside the official ones
OTHER = "other"  # every answer outside the task's labels


def extra_metrics(task: Task, texts: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
    """Compute what `rpobench score --extra` adds for a kind of task.

    Args:
        task: The task.
        texts: The answers.
        targets: Their targets, in the same order.

    Returns:
        For texts: `rouge-2` in [0, 1] (plain mean, no stemming), `BLEU` from 0 to 100 (sacrebleu, over all texts) and
        `METEOR` in [0, 1] (equal words and equal stems; no synonyms). For labels: `f1_by_label`, and `confusion` as
        target -> answer -> count, where answers outside the labels count as "other". Nothing for ratings.
    """
    if task.kind == "text":
        return {"rouge-2": _rouge2(texts, targets), "BLEU": _bleu(texts, targets), "METEOR": _meteor(texts, targets)}

    if task.kind == "label":
        return {
            "f1_by_label": _f1_by_label(texts, targets, task.labels),
            "confusion": _confusion(texts, targets, task.labels),
        }

    return {}


def metric_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Write official and extra metrics as lines of tab-separated cells.

    Args:
        metrics: What `score` and `extra_metrics` return.

    Yields:
        The lines; a confusion has targets down and answers across.
    """
    for name, value in metrics.items():
        if name == "f1_by_label":
            for label, f1 in value.items():
                yield f"f1 {label}\t{f1:.6f}"

        elif name == "confusion":
            yield from _confusion_lines(value)

        else:
            yield f"{name}\t{value:.6f}"


def _confusion_lines(confusion: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    answers = next(iter(confusion.values()))
    yield "\t".join(("confusion", *answers))

    for label, counts in confusion.items():
        yield "\t".join((label, *map(str, counts.values())))


def _rouge2(texts: Sequence[str], targets: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge2"], use_stemmer=False)
    scores = []
    for text, target in zip(texts, targets, strict=True):
        scores.append(scorer.score(target, text)["rouge2"].fmeasure)

    return float(sum(scores) / len(texts))


def _bleu(texts: Sequence[str], targets: Sequence[str]) -> float:
    from sacrebleu import corpus_bleu

    return float(corpus_bleu(list(texts), [list(targets)]).score)


class _NoSynonyms:
    """Stands where nltk expects WordNet, which is no package and no part of this benchmark."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _meteor(texts: Sequence[str], targets: Sequence[str]) -> float:
    from nltk.translate.meteor_score import meteor_score

    scores = []
    for text, target in zip(texts, targets, strict=True):
        scores.append(meteor_score([_split_words(target)], _split_words(text), wordnet=_NoSynonyms()))

    return float(sum(scores) / len(scores))


def _split_words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def _f1_by_label(texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    answers = [text.strip() for text in texts]
    golds = [target.strip() for target in targets]

    scores = f1_score(golds, answers, labels=list(labels), average=None, zero_division=0)
    return {label: float(score) for label, score in zip(labels, scores, strict=True)}


def _confusion(texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    answers = [text.strip() if text.strip() in labels else OTHER for text in texts]
    golds = [target.strip() for target in targets]
    counts = Counter(zip(golds, answers, strict=True))

    confusion = {}
    for label in labels:
        confusion[label] = {answer: counts[label, answer] for answer in (*labels, OTHER)}

    return confusion
