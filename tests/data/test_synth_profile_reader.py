"""What profiles tell, without knowing the generator: a reader of profiles closes half of the gap on the text tasks.

The reader turns each past answer into a pattern (words the user repeats, gaps where she copied content), fills every
pattern from the new input and the best generic answer, and takes the filled pattern that most agrees with the others,
where recent items and items like the input count more. It knows English function words and nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from statistics import mean

import pytest
from rouge_score.rouge_scorer import RougeScorer

from rpobench.data.synth import generate
from rpobench.types import Example, ProfileItem

TASKS = ("LaMP-4", "LaMP-5", "LaMP-6", "LaMP-7")
_SMALL = """a an the and or but of in on at to for from with by as it is was are be will would could can you i we my our
your that this which before after over about near outside against into very it"""
FUNCTION_WORDS = frozenset(_SMALL.split())
Words = tuple[str, ...]


def words_of(text: str) -> Words:
    return tuple(re.findall(r"[A-Za-z0-9]+", text))


def answer_of(item: ProfileItem) -> Words:
    return words_of(item.fields["title"] if "title" in item.fields else item.fields["text"])


def source_of(item: ProfileItem) -> Words:
    """What the answer was written about; empty where only the answer is known (tweets)."""
    return (
        tuple(w for name, text in item.fields.items() if name != "title" for w in words_of(text))
        if "title" in item.fields
        else ()
    )


def shape(words: Words) -> str:
    """Numbers, names and other words, runs of other words as one: `48 grey murals` is `9a`."""
    return re.sub("a+", "a", "".join("9" if w[0].isdigit() else "A" if w[0].isupper() else "a" for w in words))


def agreement(first: Words, second: Words) -> float:
    """Overlap of the words and word pairs of two answers, in [0, 1]."""
    grams = [Counter(x) + Counter(pairwise(x)) for x in (first, second)]
    return 2 * sum((grams[0] & grams[1]).values()) / max(1, sum(grams[0].values()) + sum(grams[1].values()))


@dataclass(frozen=True)
class Gap:
    """Content of a past answer: its shape, its length and the words around it."""

    shape: str
    size: int
    left: str
    right: str


class ProfileReader:
    """Answers one example from its profile, its input and the best generic answer."""

    def __init__(self, example: Example, generic: str) -> None:
        self.items = sorted(example.profile, key=lambda item: str(item.date))
        self.answers = [answer_of(item) for item in self.items]
        self.input = words_of(example.input.split(": ", 1)[1])
        self.generic = words_of(generic)
        self.own, self.habits = self._habits()

    def read(self) -> str:
        filled = [self._fill(pattern) for pattern in self._patterns()]
        lowered = [tuple(w.lower() for w in answer) for answer in filled]
        weights = self._weights()
        votes = []

        for answer in lowered:
            agreements = [agreement(answer, other) for other in lowered]
            votes.append(sum(map(mul, weights, agreements)))

        best = max(range(len(filled)), key=lambda i: votes[i], default=None)
        return " ".join(self.generic if best is None else filled[best])

    def _habits(self) -> tuple[set[str], set[str]]:
        """Words the user added to what she read, more than once; these and the words that stand in many answers."""
        counts, own_counts = Counter[str](), Counter[str]()
        for item, answer in zip(self.items, self.answers, strict=True):
            copied = {w.lower() for w in source_of(item)}
            lowered = {w.lower() for w in answer}
            counts.update(lowered)
            own_counts.update(lowered - copied if copied else ())

        often = max(3, 0.2 * len(self.items))
        added = {w for w in own_counts if own_counts[w] >= 2}
        return added, added | {w for w in counts if counts[w] >= often}

    def _patterns(self) -> Iterator[list[str | Gap]]:
        for item, answer in zip(self.items, self.answers, strict=True):
            source = source_of(item)
            cased = {w.lower(): w for w in source}
            cased_answer = tuple(cased.get(w.lower(), w.lower() if i == 0 else w) for i, w in enumerate(answer))
            yield list(self._pattern(cased_answer, source))

    def _pattern(self, answer: Words, source: Words) -> Iterator[str | Gap]:
        pairs = set(pairwise(source))
        start = 0

        while start < len(answer):
            if answer[start].lower() in self.habits:
                yield answer[start].lower()
                start += 1
                continue
            end = start + 1
            while end < len(answer) and answer[end].lower() not in self.habits:
                if answer[end - 1] in source and answer[end] in source and answer[end - 1 : end + 1] not in pairs:
                    break
                end += 1
            left = answer[start - 1].lower() if start else ""
            right = answer[end].lower() if end < len(answer) else ""
            yield Gap(shape(answer[start:end]), end - start, left, right)
            start = end

    def _fill(self, pattern: list[str | Gap]) -> Words:
        """The most particular gaps choose first; no word is used twice; content brings its own preposition."""
        filled: list[Words] = [(part,) if isinstance(part, str) else () for part in pattern]
        used = {part for part in pattern if isinstance(part, str)}
        gaps = [(i, part) for i, part in enumerate(pattern) if isinstance(part, Gap)]

        for i, gap in sorted(gaps, key=lambda indexed: (indexed[1].shape == "a", -indexed[1].size)):
            free = [span for span in self._spans() if not used & {w.lower() for w in span[0]}]
            best = max(free, key=lambda span: self._fit(gap, *span), default=None)
            if best is None or self._fit(gap, *best) <= 0:
                continue
            filled[i] = best[0]
            used |= {w.lower() for w in best[0]}
            if {gap.left, best[1]} <= FUNCTION_WORDS and gap.left not in self.own:
                filled[i - 1] = (best[1],)

        return tuple(w for words in filled for w in words)

    def _spans(self) -> Iterator[tuple[Words, str, str, bool]]:
        """Runs of content words in the generic answer and in the input, with their neighbours."""
        for text in (self.generic, self.input):
            for start in range(len(text)):
                for end in range(start + 1, min(start + 4, len(text)) + 1):
                    if text[end - 1].lower() in FUNCTION_WORDS:
                        break
                    left = text[start - 1].lower() if start else ""
                    right = text[end].lower() if end < len(text) else ""
                    yield text[start:end], left, right, text is self.generic

    def _fit(self, gap: Gap, span: Words, left: str, right: str, generic: bool) -> float:
        same = shape(span) == gap.shape
        return 3 * same + 2 * (left == gap.left) + (right == gap.right) + 2 * generic - abs(len(span) - gap.size) - 2

    def _weights(self) -> list[float]:
        """Recent items and items that share content words with the input count more."""
        input_words = {w.lower() for w in self.input} - FUNCTION_WORDS
        likeness = [
            len(input_words & {w.lower() for text in i.fields.values() for w in words_of(text)}) for i in self.items
        ]
        age = range(len(self.items) - 1, -1, -1)

        return [(1 + like) * 0.8**years for like, years in zip(likeness, age, strict=True)]


def rouge(pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Mean ROUGE-1 and ROUGE-L of (target, answer) pairs."""
    scorer = RougeScorer(["rouge1", "rougeL"])
    scores = [scorer.score(target, answer) for target, answer in pairs]
    return mean(float(s["rouge1"].fmeasure) for s in scores), mean(float(s["rougeL"].fmeasure) for s in scores)


def table(task: str, n: int) -> dict[str, tuple[float, float]]:
    """ROUGE-1 and ROUGE-L of the best generic answer, the oracle and the reader of profiles."""
    data = generate(task, "dev", n)
    generic, oracle = data.references["best_generic"], data.references["oracle"]
    rows = [(labelled.target, labelled.example) for labelled in data.labelled]

    return {
        "best generic": rouge([(target, generic[e.id]) for target, e in rows]),
        "oracle": rouge([(target, oracle[e.id]) for target, e in rows]),
        "profile reader": rouge([(target, ProfileReader(e, generic[e.id]).read()) for target, e in rows]),
    }


def closed(scores: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """The share of the way from best generic to oracle that the reader went, in ROUGE-1 and in the mean of both."""
    generic, best, reader = (scores[name] for name in ("best generic", "oracle", "profile reader"))
    return (reader[0] - generic[0]) / (best[0] - generic[0]), (sum(reader) - sum(generic)) / (sum(best) - sum(generic))


@pytest.mark.parametrize("task", TASKS)
def test_profiles_tell_half_of_the_way_in_a_small_sample(task: str) -> None:
    assert min(closed(table(task, 200))) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_profiles_tell_half_of_the_way_to_the_oracle(task: str) -> None:
    assert min(closed(table(task, 2000))) > 0.5


@pytest.mark.parametrize("task", TASKS)
def test_another_users_profile_tells_little(task: str) -> None:
    """The reader lives on the habits of this user: with a stranger's items it loses most of its lead."""
    data = generate(task, "dev", 80)
    generic = data.references["best_generic"]
    own_pairs, swapped_pairs = [], []

    for labelled, other in pairwise(data.labelled):
        example = labelled.example
        stranger = Example(example.id, example.user_id, example.input, other.example.profile)
        own_pairs.append((labelled.target, ProfileReader(example, generic[example.id]).read()))
        swapped_pairs.append((labelled.target, ProfileReader(stranger, generic[example.id]).read()))

    assert rouge(own_pairs)[0] > rouge(swapped_pairs)[0] + 0.1


def test_without_a_profile_the_best_generic_answer_stands() -> None:
    example = generate("LaMP-4", "dev", 1).labelled[0].example
    empty = Example(example.id, example.user_id, example.input)
    assert ProfileReader(empty, "Halvex will cut 12 jobs").read() == "Halvex will cut 12 jobs"
