"""How a trained module answers: once, or several times with one of the answers chosen, and with a gate for drafts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpobench.rpo.decoding import TEMPERATURE, Answer, ReflectionModule, answer_once, read_answers
from rpobench.rpo.form import Trajectory
from rpobench.rpo.module_input import ModuleInput
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Message, Usage


@dataclass(frozen=True)
class Likelihood:
    """How likely a text is to a model.

    Attributes:
        per_token: Its log-likelihood a token.
        usage: What reading it cost.
    """

    per_token: float
    usage: Usage


def answer_inputs(module: ReflectionModule, task: Task, inputs: Sequence[ModuleInput]) -> list[Answer]:
    """Answer each input: with the module's one greedy text, or with one chosen among `n` texts.

    Args:
        module: The trained module.
        task: The task of all the inputs.
        inputs: What the module is asked; all fit its context.

    Returns:
        One answer per input, in order.
    """
    if task.labels and not module.form.analysis:
        return _choose_labels_at_once(module, task, inputs)

    samples = [answer_once(module, task, inputs, decoding) for decoding in _decodings(module)]
    return [choose_answer(module, task, candidates) for candidates in zip(*samples, strict=True)]


def _choose_labels_at_once(module: ReflectionModule, task: Task, inputs: Sequence[ModuleInput]) -> list[Answer]:
    """The answers where the module writes nothing before it chooses a label."""
    any_label = Completion(module.form.render(Trajectory("", "", task.labels[0])))
    answers = read_answers(module, task, inputs, [any_label] * len(inputs))
    return [replace(answer, module_text=module.form.render(Trajectory("", "", answer.text))) for answer in answers]


def _decodings(module: ReflectionModule) -> list[Decoding]:
    """Greedy first, then seeded samples."""
    config = module.config
    decodings = [Decoding(config.max_new_tokens)]

    for number in range(1, config.n):
        seed = module.seed * config.n + number
        decodings.append(Decoding(config.max_new_tokens, temperature=TEMPERATURE, seed=seed))
    return decodings


def choose_answer(module: ReflectionModule, task: Task, candidates: Sequence[Answer]) -> Answer:
    """Choose one of several answers to the same input; the first of equally good ones.

    `select=consensus` takes the answer that the task's score likes best against the others (minimum Bayes risk,
    Kumar and Byrne 2004), `select=likelihood` the one whose whole text the module finds most likely a token.

    Args:
        module: The module that wrote them.
        task: The task of the input.
        candidates: Its answers, at least one. Those without an answer count only where there are no others.

    Returns:
        The chosen answer, with the cost and the counts of all candidates.
    """
    if len(candidates) == 1:
        return candidates[0]

    usage, retry_count, repair_count = Usage(), 0, 0
    for candidate in candidates:
        usage += candidate.usage
        retry_count += candidate.retry_count
        repair_count += candidate.repair_count

    eligible = [candidate for candidate in candidates if candidate.text] or candidates[:1]
    if module.config.select == "likelihood":
        likelihoods = _rate_whole_texts(module, eligible)
        ratings = [likelihood.per_token for likelihood in likelihoods]
        usage = sum((likelihood.usage for likelihood in likelihoods), usage)
    else:
        ratings = _rate_by_consensus(task, eligible)

    best = max(range(len(eligible)), key=ratings.__getitem__)
    return replace(eligible[best], usage=usage, retry_count=retry_count, repair_count=repair_count)


def _rate_by_consensus(task: Task, candidates: Sequence[Answer]) -> list[float]:
    """The score of each answer against all of them, itself included."""
    ratings = []
    for candidate in candidates:
        ratings.append(sum(task.score(candidate.text, other.text) for other in candidates))
    return ratings


def _rate_whole_texts(module: ReflectionModule, candidates: Sequence[Answer]) -> list[Likelihood]:
    """How likely each text is from its first word on."""
    chats, texts = [], []
    for candidate in candidates:
        without_analysis = candidate.answer_prompt[:-1]
        chats.append(without_analysis if candidate.text else candidate.answer_prompt)
        texts.append(candidate.module_text)

    return rate_texts(module, chats, texts)


def apply_gate(
    module: ReflectionModule, answers: Sequence[Answer], drafts: Sequence[str], *, margin: float
) -> list[Answer]:
    """Compare answers with their drafts: after its own analysis, which one does the module find likelier?

    Args:
        module: The module that wrote the answers.
        answers: Answers that differ from their draft.
        drafts: The text of each answer's draft.
        margin: By how much the draft's log-likelihood a token must be higher for the draft to be kept.

    Returns:
        The answers, in order, with `keeps_draft` and with what the comparison cost.
    """
    chats: list[Chat] = []
    texts = []
    for answer, draft in zip(answers, drafts, strict=True):
        chats += [answer.answer_prompt, answer.answer_prompt]
        texts += [f" {draft}", f" {answer.text}"]
    likelihoods = rate_texts(module, chats, texts)

    gated = []
    for index, answer in enumerate(answers):
        draft_likelihood, answer_likelihood = likelihoods[2 * index : 2 * index + 2]
        keeps_draft = draft_likelihood.per_token - answer_likelihood.per_token > margin
        usage = answer.usage + draft_likelihood.usage + answer_likelihood.usage
        gated.append(replace(answer, keeps_draft=keeps_draft, usage=usage))
    return gated


def rate_texts(module: ReflectionModule, chats: Sequence[Chat], texts: Sequence[str]) -> list[Likelihood]:
    """Ask the module how likely each text is after its chat.

    Args:
        module: The trained module.
        chats: What comes before each text.
        texts: The texts to rate.

    Returns:
        One likelihood per text, in order. Each costs one call that reads chat and text together.
    """
    started = time.perf_counter()
    values = list(module.model.loglikelihood(chats, texts))
    seconds = (time.perf_counter() - started) / max(1, len(values))

    likelihoods = []
    for chat, text, value in zip(chats, texts, values, strict=True):
        prompt_tokens = module.window.count_tokens((*chat, Message("assistant", text)))
        likelihoods.append(Likelihood(value, Usage(1, prompt_tokens, 0, seconds)))
    return likelihoods
