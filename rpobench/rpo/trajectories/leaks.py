"""Whether an analysis gives the target away: the module must be able to write it without knowing the target."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow

RUN = 4  # words in a row that only the target has: no analysis comes upon them by itself
WORD = re.compile(r"\w+")

# Words that only somebody who saw the target speaks of.
CLAIMS = frozenset({"answer", "correct", "gold", "label", "rewrite", "target"})


def reveals_target(row: TrainingRow, trajectory: Trajectory) -> bool:
    """Tell whether the analysis says of the target what input, draft and evidence do not.

    Args:
        row: The training row.
        trajectory: A trajectory for it.

    Returns:
        For a label: whether the analysis names it though none of them does, or calls it the answer. For a text: whether
        the analysis has `RUN` of its words in a row, or all of a shorter one, and none of them has.
    """
    analysis = _split_words(f"{trajectory.shows} {trajectory.lacks}")
    target = _split_words(row.target)
    if row.task.labels and CLAIMS.intersection(analysis) and _contains(analysis, target):
        return True

    sources = [_split_words(row.draft), _split_words(row.task.content(row.example))]
    sources += [_split_words(row.task.show(item)) for item in row.evidence]

    for run in _word_runs(target, min(RUN, len(target))):
        is_in_a_source = any(_contains(source, run) for source in sources)
        if _contains(analysis, run) and not is_in_a_source:
            return True
    return False


def _split_words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _word_runs(words: Sequence[str], length: int) -> list[Sequence[str]]:
    """Every run of so many words; none where the length is 0."""
    if not length:
        return []
    return [words[start : start + length] for start in range(len(words) - length + 1)]


def _contains(words: Sequence[str], run: Sequence[str]) -> bool:
    starts = range(len(words) - len(run) + 1)
    return any(list(words[start : start + len(run)]) == list(run) for start in starts)
