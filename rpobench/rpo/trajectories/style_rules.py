"""The analysis of a text by rule: length, opener, ending, marks and words that come back in what the user wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from rpobench.rpo.trajectories.analysis import Analysis
from rpobench.rpo.trajectories.word_habits import COMMON, WORD
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem

MARKS: dict[str, Callable[[str], bool]] = {
    "asks": lambda text: "?" in text,
    "has a colon": lambda text: ":" in text,
    "starts with a number": lambda text: text[:1].isdigit(),
}
MOST_HABIT_WORDS = 4


@dataclass(frozen=True)
class _Statements:
    """Parts of both lines of an analysis."""

    shows: list[str]
    lacks: list[str]


def analyse_style(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> Analysis:
    """Describe how the user writes, and what of it the draft lacks.

    Args:
        task: A task of texts.
        example: The input.
        draft: The base model's answer.
        evidence: The profile items that the module is shown, best first.

    Returns:
        The two lines of the analysis.
    """
    texts = [item.fields[task.answer_field] for item in evidence]
    word_lists = [split_words(text) for text in texts]
    draft_words = split_words(draft)

    shows = [f"{median(map(len, word_lists)):g} words"]
    lacks = [f"{len(draft_words)} words"]

    runs = _compare_runs(word_lists, " ".join(draft_words))
    shows += runs.shows
    lacks += runs.lacks

    for name, has_mark in MARKS.items():
        marked_count = sum(map(has_mark, texts))
        if 2 * marked_count > len(texts):
            shows.append(name)

    habit_words = _habit_words(word_lists, example.input)
    if habit_words:
        shows.append("often " + " ".join(habit_words))
        missing = [word for word in habit_words if word not in draft_words]
        if missing:
            lacks.append("no " + " ".join(missing))

    return Analysis("; ".join(shows), "; ".join(lacks))


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words, without punctuation."""
    return WORD.findall(text.lower())


def _compare_runs(word_lists: Sequence[Sequence[str]], draft: str) -> _Statements:
    """The words with which the user opens and ends, and which of them the draft lacks there."""
    shows, lacks = [], []
    opener = _recurring_run([words[:2] for words in word_lists], [words[:1] for words in word_lists])
    if opener:
        shows.append(f'opens "{opener}"')
        if not draft.startswith(opener):
            lacks.append(f'no "{opener}" first')

    ending = _recurring_run([words[-2:] for words in word_lists], [words[-1:] for words in word_lists])
    if ending:
        shows.append(f'ends "{ending}"')
        if not draft.endswith(ending):
            lacks.append(f'no "{ending}" last')

    return _Statements(shows, lacks)


def _recurring_run(pairs: Sequence[Sequence[str]], single_words: Sequence[Sequence[str]]) -> str:
    """What at least half of the texts, and two of them, share at one end.

    `pairs` has the two words at that end of each text, `single_words` the outermost alone. It is the pair, else the
    single word, else nothing.
    """
    for runs in (pairs, single_words):
        counts = Counter(" ".join(run) for run in runs if run)
        if counts:
            commonest, count = counts.most_common(1)[0]
            if count >= 2 and 2 * count >= len(runs):
                return commonest

    return ""


def _habit_words(word_lists: Sequence[Sequence[str]], input_text: str) -> list[str]:
    """The most frequent words in at least half of the texts, and in two, that the input did not bring along."""
    counts: Counter[str] = Counter()
    for words in word_lists:
        counts.update(word for word in dict.fromkeys(words) if word not in COMMON)

    input_words = set(split_words(input_text))
    habit_words = []
    for word, count in counts.most_common():
        if count >= 2 and 2 * count >= len(word_lists) and word not in input_words:
            habit_words.append(word)
    return habit_words[:MOST_HABIT_WORDS]
