"""Structured rewriting trajectories for SFT, written by rule from what evidence, input and draft show.

The analysis is computed without the target, so it cannot state what only the target shows; the rewrite is the target.
The facts are meant for any LaMP text (labels, ratings, lengths, openers, endings, recurring words) and know nothing of
how the synthetic world is made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import median

from rpobench.rpo.form import Trajectory, one_line
from rpobench.rpo.trajectories.word_habits import COMMON, WORD, Histories, content_words
from rpobench.task.contract import Task
from rpobench.task.metrics import rating
from rpobench.types import Example, ProfileItem

HABIT = 1.5  # times likelier than chance that its users come back to a word that tells who wrote a text
RATINGS = ("closest", "highest", "lowest")  # of those a user gave: the names that an analysis gives them


def write_trajectory(
    task: Task,
    example: Example,
    draft: str,
    evidence: Sequence[ProfileItem],
    target: str,
    histories: Histories,
) -> Trajectory:
    """The trajectory that ends in the target."""
    shows, lacks = analyse(task, example, draft, evidence, histories)
    return Trajectory(one_line(shows), one_line(lacks), one_line(target))


def contradicts_itself(task: Task, trajectory: Trajectory) -> bool:
    """Whether the analysis says that another label or rating fits than the rewrite has.

    Its answer would teach that an answer need not follow from its analysis.
    """
    others = [label for label in task.labels if label != trajectory.rewrite]
    named = [f"{name} {label}" for name in RATINGS for label in others]
    told = {_lacks(fits, agrees) for fits in (*others, *named) for agrees in (True, False)}
    return trajectory.lacks in told or trajectory.shows.endswith(tuple(_closer(label) for label in others))


def analyse(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], histories: Histories
) -> tuple[str, str]:
    """What the history shows, and where the draft departs from it. Never sees the target."""
    if not evidence:
        return "nothing", "nothing known"
    if task.kind == "rating":
        return _ratings(task, example, draft, evidence, histories)
    if task.kind == "label":
        if task.answer_field:
            return _labels(task, draft, evidence)
        return _overlaps(task, example, draft, evidence, histories)
    return _style(task, example, draft, evidence)


def _labels(task: Task, draft: str, evidence: Sequence[ProfileItem]) -> tuple[str, str]:
    """The label of the closest item, which fits, and the others in order of closeness: to be copied, not counted."""
    closest, *others = (item.fields[task.answer_field] for item in evidence)
    shows = f"closest {closest}; then {', '.join(others)}" if others else f"closest {closest}"
    return shows, _lacks(closest, task.parse(draft) == closest)


def _ratings(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], histories: Histories
) -> tuple[str, str]:
    """What the user gave, as shown (the closest item last), then by name; the strongest word of praise and of blame in
    the input: praise alone fits her highest rating, blame alone her lowest, both or neither that of the closest item.

    A small model copies a list, reads names off it, and copies again what followed a name.
    """
    known = [value for item in evidence if (value := rating(item.fields[task.answer_field])) is not None]
    if not known:
        return "no ratings", "nothing known"
    given = dict(zip(RATINGS, (known[0], max(known), min(known)), strict=True))
    praise, blame = _strongest(task.content(example), histories)
    name = "closest" if bool(praise) == bool(blame) else "highest" if praise else "lowest"
    named = [f"{name} {value:g}" for name, value in given.items()]
    listed = " ".join(f"{value:g}" for value in reversed(known))
    shows = "; ".join([f"gave {listed}", *named, f"praise {praise or 'nothing'}", f"blame {blame or 'nothing'}"])
    return shows, _lacks(f"{name} {given[name]:g}", rating(task.parse(draft)) == given[name])


def _strongest(text: str, histories: Histories) -> tuple[str, str]:
    """The word that most goes with praise, and the one that most goes with blame; "" where there is none."""
    leanings = {word: histories.leaning(word) for word in content_words(text)}
    most, least = (pick(leanings, key=leanings.__getitem__, default="") for pick in (max, min))
    return most if leanings.get(most, 0) > 0 else "", least if leanings.get(least, 0) < 0 else ""


def _overlaps(
    task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem], histories: Histories
) -> tuple[str, str]:
    """Words that one option alone shares with the history: what both share is the topic and tells nothing.

    Only words that users come back to, in the order of the option, so that a small model finds them by reading along.
    The closer the items that hold a word, the more it weighs.
    """
    weights: dict[str, float] = defaultdict(float)
    for rank, item in enumerate(evidence, 1):
        for word in set(content_words(task.show(item))):
            weights[word] += 1 / rank if histories.returns(word) >= HABIT else 0
    words = {label: list(dict.fromkeys(content_words(text))) for label, text in _options(task, example.input).items()}
    told, weight = [], {}
    for label, own in words.items():
        others = {word for other, theirs in words.items() if other != label for word in theirs}
        alone = [word for word in own if weights[word] and word not in others]
        weight[label] = round(sum(weights[word] for word in alone), 6)
        told.append(f"{label} shares {' '.join(alone) or 'nothing'}")
    if not told:
        return "no options to compare", "nothing known"
    most = [label for label, own in weight.items() if own == max(weight.values())]
    if len(most) != 1:
        return "; ".join([*told, "none is closer"]), "nothing known"
    return "; ".join([*told, _closer(most[0])]), _lacks(most[0], task.parse(draft) == most[0])


def _closer(label: str) -> str:
    return f"{label} is closer"


def _lacks(fits: str, agrees: bool) -> str:
    """Where the draft stands to the answer that fits the user; a small model can copy that, but not count the gap."""
    return f"nothing, {fits} fits" if agrees else f"{fits} fits"


def _options(task: Task, text: str) -> dict[str, str]:
    """The text that follows each label in the input: LaMP-1's references after `[1]:` and `[2]:`."""
    marks = [(text.rfind(f"{label}:"), label) for label in task.labels]
    places = sorted((at, label) for at, label in marks if at >= 0)
    ends = [*(at for at, _ in places), len(text)][1:]
    return {label: text[at + len(label) + 1 : end] for (at, label), end in zip(places, ends, strict=True)}


def _style(task: Task, example: Example, draft: str, evidence: Sequence[ProfileItem]) -> tuple[str, str]:
    outputs = [item.fields[task.answer_field] for item in evidence]
    words = [WORD.findall(text.lower()) for text in outputs]
    drafted = WORD.findall(draft.lower())
    shows = [f"{median(len(w) for w in words):g} words"]
    lacks = [f"{len(drafted)} words"]
    opener = _recurring(words, slice(None, 2))
    if opener:
        shows.append(f'opens "{opener}"')
        lacks += [] if " ".join(drafted).startswith(opener) else [f'no "{opener}" first']
    ending = _recurring(words, slice(-2, None))
    if ending:
        shows.append(f'ends "{ending}"')
        lacks += [] if " ".join(drafted).endswith(ending) else [f'no "{ending}" last']
    marks: dict[str, Callable[[str], bool]] = {
        "asks": lambda text: "?" in text,
        "has a colon": lambda text: ":" in text,
        "starts with a number": lambda text: text[:1].isdigit(),
    }
    shows += [name for name, test in marks.items() if 2 * sum(map(test, outputs)) > len(outputs)]
    habits = _habit_words(words, example.input)
    if habits:
        shows.append("often " + " ".join(habits))
        missing = [word for word in habits if word not in drafted]
        lacks += ["no " + " ".join(missing)] if missing else []
    return "; ".join(shows), "; ".join(lacks)


def _recurring(outputs: Sequence[Sequence[str]], end: slice) -> str:
    """The run of words (two, else one) that at least half of the outputs, and two of them, share at one end, or ''."""
    for run in (end, slice(end.start and end.start // 2, end.stop and end.stop // 2)):
        counts = Counter(" ".join(words[run]) for words in outputs if words)
        if counts:
            best, count = counts.most_common(1)[0]
            if count >= 2 and 2 * count >= len(outputs):
                return best
    return ""


def _habit_words(outputs: Sequence[Sequence[str]], input: str) -> list[str]:
    """Up to four words in at least half of the outputs (and in two) that the input did not bring along."""
    given = set(WORD.findall(input.lower()))
    counts = Counter(word for output in outputs for word in dict.fromkeys(output) if word not in COMMON)
    often = [word for word, count in counts.most_common() if count >= 2 and 2 * count >= len(outputs)]
    return [word for word in often if word not in given][:4]
