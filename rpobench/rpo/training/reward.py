"""The reward of stage 2, and what is logged beside it: the signs by which a gamed reward shows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rpobench.rpo.form import Form
from rpobench.task.contract import Task

FORMAT_BONUS = 0.1  # small beside the score, so that form is never worth an answer
WORD = re.compile(r"\w+")
# A number, or a capitalised word that does not begin the text: what a rewrite should not lose.
FACT = re.compile(r"\d[\d.,]*|(?<=\s)[A-Z]\w+")

Log = Callable[[str, float], None]


def reward(tasks: Mapping[str, Task], form: Form) -> Callable[..., list[float]]:
    """The reward: the task's score of the rewrite plus a small bonus for form; 0 where there is no answer in it.

    The columns beside the completions are those of `rl_rows`.
    """

    def task_score(
        completions: list[list[dict[str, str]]],
        task: list[str],
        target: list[str],
        log_metric: Log | None = None,
        **columns: Any,
    ) -> list[float]:
        rewards, answers = [], []
        for completion, name, gold in zip(completions, task, target, strict=True):
            trajectory, judge = form.parse(completion[0]["content"]), tasks[name]
            text = judge.parse(trajectory.rewrite) if trajectory else ""
            rewards.append(judge.score(text, gold) + FORMAT_BONUS if text else 0.0)
            answers.append(text)
        if log_metric:
            log_metric("parse_rate", sum(map(bool, answers)) / len(answers))
            judges = [tasks[name] for name in task]
            _log_signs(log_metric, judges, answers, target, columns["draft"], columns["shown"])
        return rewards

    return task_score


def _log_signs(
    log: Log,
    judges: Sequence[Task],
    answers: Sequence[str],
    targets: Sequence[str],
    drafts: Sequence[str],
    shown: Sequence[str],
) -> None:
    """Means over the answers of one step; a sign that no answer can show is not logged."""
    labels: dict[str, Counter[str]] = {}
    asked: dict[str, set[str]] = {}
    signs: dict[str, list[float]] = {"copied_share": [], "length_ratio": [], "facts_lost": []}
    for judge, answer, target, draft, evidence in zip(judges, answers, targets, drafts, shown, strict=True):
        if answer and judge.labels:
            labels.setdefault(judge.name, Counter())[answer] += 1
            asked.setdefault(judge.name, set()).add(target)
        elif answer:
            signs["copied_share"].append(copied_share(answer, evidence))
            signs["length_ratio"].append(len(answer.split()) / max(1, len(target.split())))
            signs["facts_lost"].extend([facts_lost(draft, answer)] if FACT.search(draft) else [])
    # Where a task's examples have one target, one label for all of them is no sign of anything.
    signs["label_entropy"] = [entropy(counts) for name, counts in labels.items() if len(asked[name]) > 1]
    for name, values in signs.items():
        if values:
            log(name, sum(values) / len(values))


def entropy(counts: Counter[str]) -> float:
    """In nats: 0 where one label is given to everything."""
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def copied_share(answer: str, evidence: str) -> float:
    """Share of the answer's word triples (of its words, where it has fewer than three) that the evidence holds."""
    words, known = WORD.findall(answer.lower()), WORD.findall(evidence.lower())
    run = min(3, len(words))
    if not run:
        return 0.0
    held = {tuple(known[at : at + run]) for at in range(len(known) - run + 1)}
    runs = [tuple(words[at : at + run]) for at in range(len(words) - run + 1)]
    return sum(one in held for one in runs) / len(runs)


def facts_lost(draft: str, answer: str) -> float:
    """Share of the draft's numbers and names that the answer does not have; 0 where the draft has none."""
    facts = set(FACT.findall(draft))
    return sum(fact.lower() not in answer.lower() for fact in facts) / len(facts) if facts else 0.0
