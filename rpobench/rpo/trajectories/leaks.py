"""Whether an analysis gives the target away: the module must be able to write it without knowing the target."""

from __future__ import annotations

from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.word_runs import split_words, word_runs

RUN = 4  # words in a row that only the target has: no analysis comes upon them by itself

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
    analysis = split_words(f"{trajectory.shows} {trajectory.lacks}")
    target = split_words(row.target)
    length = min(RUN, len(target))

    if row.task.labels and CLAIMS.intersection(analysis) and tuple(target) in word_runs(analysis, len(target)):
        return True

    # What the module reads: whatever the analysis takes from there is no leak.
    source_runs = set()
    for text in (row.draft, row.task.content(row.example), *map(row.task.show, row.evidence)):
        source_runs.update(word_runs(split_words(text), length))

    analysis_runs = set(word_runs(analysis, length))
    return any(run in analysis_runs and run not in source_runs for run in word_runs(target, length))
