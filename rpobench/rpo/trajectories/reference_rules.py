"""The analysis of a choice between references by rule: which of them shares words with the history (LaMP-1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rpobench.rpo.trajectories.analysis import UNKNOWN, Analysis, conclude, name_closer
from rpobench.rpo.trajectories.word_habits import WordHabits, content_words
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem

LEAST_RETURN_RATE = 1.5  # of a word that tells who wrote a text; see `WordHabits.return_rate`


def analyse_references(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], habits: WordHabits
) -> Analysis:
    """List the words that one reference alone shares with the history: what both share is the topic and tells nothing.

    Only words that users come back to count, and the closer the items that hold a word, the more it weighs. The words
    stand in the order of the reference, so that a small model finds them by reading along.

    Args:
        task: A task whose labels name references in the input.
        example: The input.
        draft: The base model's answer.
        evidence: The profile items that the module is shown, best first.
        habits: Which words users come back to.

    Returns:
        The two lines of the analysis.
    """
    words_by_label = {label: content_words(text) for label, text in _references(task, example.input).items()}
    if not words_by_label:
        return Analysis("no options to compare", UNKNOWN)

    word_weights = _weigh_words(task, evidence, habits)
    statements = []
    weight_by_label = {}
    for label in words_by_label:
        words = [word for word in _distinct_words(label, words_by_label) if word_weights[word]]
        statements.append(f"{label} shares {' '.join(words) or 'nothing'}")
        weight_by_label[label] = round(sum(word_weights[word] for word in words), 6)

    heaviest = max(weight_by_label.values())
    closest = [label for label, weight in weight_by_label.items() if weight == heaviest]
    if len(closest) != 1:
        return Analysis("; ".join([*statements, "none is closer"]), UNKNOWN)

    shows = "; ".join([*statements, name_closer(closest[0])])
    return Analysis(shows, conclude(closest[0], agrees=task.parse(draft) == closest[0]))


def _weigh_words(task: Task, evidence: Sequence[ProfileItem], habits: WordHabits) -> defaultdict[str, float]:
    """The weight of each word of the history: 1 / rank, summed over the items that hold it."""
    weights: defaultdict[str, float] = defaultdict(float)
    for rank, item in enumerate(evidence, 1):
        for word in set(content_words(task.show(item))):
            weights[word] += 1 / rank if habits.return_rate(word) >= LEAST_RETURN_RATE else 0
    return weights


def _distinct_words(label: str, words_by_label: Mapping[str, Sequence[str]]) -> list[str]:
    """The words that this reference has and no other one, each once, in its order."""
    elsewhere: set[str] = set()
    for other, words in words_by_label.items():
        if other != label:
            elsewhere.update(words)

    return [word for word in dict.fromkeys(words_by_label[label]) if word not in elsewhere]


def _references(task: Task, text: str) -> dict[str, str]:
    """The text that follows each label in the input: LaMP-1's references after `[1]:` and `[2]:`."""
    starts = [(text.rfind(f"{label}:"), label) for label in task.labels]
    starts = sorted((start, label) for start, label in starts if start >= 0)

    references = {}
    for index, (start, label) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else len(text)
        references[label] = text[start + len(label) + 1 : end]
    return references
