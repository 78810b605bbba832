"""Metrics beside the official ones: ROUGE-2, BLEU and METEOR for texts; F1 of each label and who was taken for whom."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpobench.task.contract import Task

OTHER = "other"  # every answer that is none of the task's labels


def extra_metrics(task: Task, texts: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
    """What `rpobench score --extra` adds for a task's kind; nothing for ratings.

    Texts: `rouge-2` in [0, 1] (plain mean, no stemming), `BLEU` from 0 to 100 (sacrebleu, over all texts), `METEOR` in
    [0, 1] (equal words and equal stems; no synonyms). Labels: `f1_by_label`, and `confusion` as target -> answer ->
    count, with the answers that are no label under "other".
    """
    if task.kind == "text":
        return {"rouge-2": _rouge2(texts, targets), "BLEU": _bleu(texts, targets), "METEOR": _meteor(texts, targets)}
    if task.kind == "label":
        return {"f1_by_label": _f1(texts, targets, task.labels), "confusion": _confusion(texts, targets, task.labels)}
    return {}


def metric_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Official and extra metrics as lines of tab-separated cells; the confusion has targets down, answers across."""
    for name, value in found.items():
        if name == "f1_by_label":
            yield from (f"f1 {label}\t{one:.6f}" for label, one in value.items())
        elif name == "confusion":
            yield "\t".join(("confusion", *next(iter(value.values()))))
            yield from ("\t".join((label, *map(str, counts.values()))) for label, counts in value.items())
        else:
            yield f"{name}\t{value:.6f}"


def _rouge2(texts: Sequence[str], targets: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge2"], use_stemmer=False)
    pairs = zip(texts, targets, strict=True)
    return float(sum(scorer.score(target, text)["rouge2"].fmeasure for text, target in pairs) / len(texts))


def _bleu(texts: Sequence[str], targets: Sequence[str]) -> float:
    from sacrebleu import corpus_bleu

    return float(corpus_bleu(list(texts), [list(targets)]).score)


class _NoSynonyms:
    """Stands where nltk expects WordNet, which is no package and no part of this benchmark."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _meteor(texts: Sequence[str], targets: Sequence[str]) -> float:
    from nltk.translate.meteor_score import meteor_score

    pairs = zip(texts, targets, strict=True)
    scores = [meteor_score([_words(target)], _words(text), wordnet=_NoSynonyms()) for text, target in pairs]
    return float(sum(scores) / len(scores))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def _f1(texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    answers, golds = [text.strip() for text in texts], [target.strip() for target in targets]
    found = f1_score(golds, answers, labels=list(labels), average=None, zero_division=0)
    return {label: float(value) for label, value in zip(labels, found, strict=True)}


def _confusion(texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    answers = [text.strip() if text.strip() in labels else OTHER for text in texts]
    counts = Counter(zip((target.strip() for target in targets), answers, strict=True))
    return {label: {answer: counts[label, answer] for answer in (*labels, OTHER)} for label in labels}
