"""The reward of stage 2, and what is logged beside it: the signs by which a gamed reward shows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpobench.rpo.form import Form
from rpobench.rpo.word_runs import split_words, word_runs
from rpobench.task.contract import Task
from rpobench.task.thinking import strip_thinking

FORMAT_BONUS = 0.1  # small beside the score, so that form is never worth an answer
# A number, or a capitalised word that does not begin the text: what a rewrite should not lose.
FACT = re.compile(r"\d[\d.,]*|(?<=\s)[A-Z]\w+")

Log = Callable[[str, float], None]


@dataclass(frozen=True)
class RewardedAnswer:
    """An answer of the module beside what it was to be like.

    Attributes:
        task: The task of its example.
        answer: In the task's form.
        target: The answer of the user.
        draft: The base model's answer.
        evidence: The text of the profile items that the prompt showed.
    """

    task: Task
    answer: str
    target: str
    draft: str
    evidence: str


def make_reward(tasks: Mapping[str, Task], form: Form) -> Callable[..., list[float]]:
    """Make the reward function that trl calls with completions and the columns of their prompts.

    Args:
        tasks: The tasks of all prompts by name.
        form: What the module writes.

    Returns:
        The function. A completion earns the task's score of its answer plus `FORMAT_BONUS`, or 0 where it holds no
        answer. trl passes the columns of `build_grpo_dataset` by name.
    """

    def task_score(
        completions: list[list[dict[str, str]]],
        task: list[str],
        target: list[str],
        log_metric: Log | None = None,
        **columns: Any,
    ) -> list[float]:
        rewards = []
        answers = []
        for index, completion in enumerate(completions):
            answer = _read_answer(form, tasks[task[index]], completion[0]["content"])
            rewards.append(tasks[task[index]].score(answer, target[index]) + FORMAT_BONUS if answer else 0.0)

            if answer and log_metric:
                draft, evidence = columns["draft"][index], columns["evidence"][index]
                answers.append(RewardedAnswer(tasks[task[index]], answer, target[index], draft, evidence))

        if log_metric:
            log_metric("parse_rate", len(answers) / len(completions))
            _log_signs(log_metric, answers)
        return rewards

    return task_score


def _read_answer(form: Form, task: Task, text: str) -> str:
    """The answer in a text of the module, without thinking as in prediction; empty where it holds none."""
    trajectory = form.parse(strip_thinking(text) or "")

    return task.parse(trajectory.rewrite) if trajectory else ""


def _log_signs(log: Log, answers: Sequence[RewardedAnswer]) -> None:
    """Log means over the answers of one step. A sign that no answer can show is left out."""
    signs: dict[str, list[float]] = {"copied_share": [], "length_ratio": [], "facts_lost": []}
    for rewarded in answers:
        if not rewarded.task.labels:
            signs["copied_share"].append(copied_share(rewarded.answer, rewarded.evidence))
            signs["length_ratio"].append(len(rewarded.answer.split()) / max(1, len(rewarded.target.split())))
            if FACT.search(rewarded.draft):
                signs["facts_lost"].append(facts_lost(rewarded.draft, rewarded.answer))

    signs["label_entropy"] = _label_entropies([rewarded for rewarded in answers if rewarded.task.labels])
    for name, values in signs.items():
        if values:
            log(name, sum(values) / len(values))


def _label_entropies(answers: Sequence[RewardedAnswer]) -> list[float]:
    """The entropy of each label task's answers.

    Where a task's examples have one target, one label for all of them is no sign of anything: such a task is left out.
    """
    label_counts: dict[str, Counter[str]] = {}
    targets: dict[str, set[str]] = {}
    for rewarded in answers:
        label_counts.setdefault(rewarded.task.name, Counter())[rewarded.answer] += 1
        targets.setdefault(rewarded.task.name, set()).add(rewarded.target)

    return [entropy(counts) for task_name, counts in label_counts.items() if len(targets[task_name]) > 1]


def entropy(counts: Counter[str]) -> float:
    """Compute the entropy of a distribution over labels.

    Args:
        counts: How often each label was given.

    Returns:
        The entropy in nats: 0 where one label is given to everything.
    """
    total = counts.total()

    return -sum(count / total * math.log(count / total) for count in counts.values())


def copied_share(answer: str, evidence: str) -> float:
    """Compute how much of an answer is copied from the evidence.

    Args:
        answer: The answer to a text task.
        evidence: The text of the profile items that the prompt showed.

    Returns:
        The share, in [0, 1], of the answer's word triples that the evidence holds too; of its words, where it has
        fewer than three.
    """
    words = split_words(answer)
    length = min(3, len(words))
    if not length:
        return 0.0

    evidence_runs = set(word_runs(split_words(evidence), length))
    answer_runs = word_runs(words, length)
    return sum(run in evidence_runs for run in answer_runs) / len(answer_runs)


def facts_lost(draft: str, answer: str) -> float:
    """Compute how many of the draft's numbers and names the answer has lost.

    Args:
        draft: The base model's answer.
        answer: The module's answer.

    Returns:
        The share, in [0, 1]; 0 where the draft has none.
    """
    facts = set(FACT.findall(draft))
    if not facts:
        return 0.0

    return sum(fact.lower() not in answer.lower() for fact in facts) / len(facts)
