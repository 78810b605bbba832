"""From questions to answers: the module writes (once, or n times), the answer is read, chosen among n, and gated."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpobench.models.protocol import LanguageModel
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import Room
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.rows import Question
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Message, Usage

TEMPERATURE = 0.8  # of the samples beside the greedy text, where n > 1
NO_TRAJECTORY = "no trajectory in the module's text"
NO_ANSWER = "the rewrite is no answer of the task"


@dataclass(frozen=True)
class Answer:
    """One text of the module and what was read from it. `text` is empty where `failure` says why there is no answer."""

    written: str
    text: str
    raw: str
    usage: Usage
    lead: Chat  # the question with everything the module wrote before the answer
    failure: str | None = None
    kept: bool | None = None  # whether a gate kept the draft instead; None where it was not asked


def answers(
    model: LanguageModel,
    form: Form,
    task: Task,
    asked: Sequence[Question],
    config: ModuleConfig,
    room: Room,
    *,
    seed: int,
) -> list[Answer]:
    """The module's answer to each question, in order."""
    if task.labels and not form.analysis:
        open_ended = Completion(form.text(Trajectory("", "", task.labels[0])))  # nothing to write before the choice
        chosen = _read(model, form, task, asked, [open_ended] * len(asked))
        return [replace(one, written=form.text(Trajectory("", "", one.text))) for one in chosen]
    rounds = [
        _read(model, form, task, asked, _written(model, form, task, asked, decoding))
        for decoding in _decodings(config, seed)
    ]
    return [_selected(model, task, list(own), config.select, room) for own in zip(*rounds, strict=True)]


def _decodings(config: ModuleConfig, seed: int) -> list[Decoding]:
    """Greedy first, then seeded samples."""
    sampled = [
        Decoding(config.max_new_tokens, temperature=TEMPERATURE, seed=seed * config.n + place)
        for place in range(1, config.n)
    ]
    return [Decoding(config.max_new_tokens), *sampled]


def _written(
    model: LanguageModel, form: Form, task: Task, asked: Sequence[Question], decoding: Decoding
) -> list[Completion]:
    """What the module writes to each question, in order.

    A text that leaves out a line of its form is taken up once more where it left it, with the label of that line given:
    a small module that forgets a label still knows what to write after it. Told on stderr; the cost of both is counted.
    """
    written = list(model.generate([one.chat for one in asked], decoding))
    strayed = [place for place, one in enumerate(written) if form.parse(one.text) is None]
    leads = {place: lead for place in strayed if (lead := form.resume(written[place].text))}
    if not leads:
        return written
    chats = [(*asked[place].chat, Message("assistant", lead)) for place, lead in leads.items()]
    back = 0
    for (place, lead), more in zip(leads.items(), model.generate(chats, decoding), strict=True):
        first, text = written[place], f"{lead} {more.text.strip()}"
        found = form.parse(text) is not None
        back += found
        written[place] = replace(first, text=text if found else first.text, usage=first.usage + more.usage)
    print(f"{task.name}: {len(leads)} of {len(asked)} texts left their form, {back} were led back", file=sys.stderr)
    return written


def _read(
    model: LanguageModel, form: Form, task: Task, asked: Sequence[Question], written: Sequence[Completion]
) -> list[Answer]:
    """What the texts answer. Label tasks take the most likely label after the module's own analysis."""
    trajectories = [form.parse(one.text) for one in written]
    leads = [
        (*question.chat, Message("assistant", form.lead(one))) if one else question.chat
        for question, one in zip(asked, trajectories, strict=True)
    ]
    raws = [(one.rewrite, Usage()) if one else ("", Usage()) for one in trajectories]
    parsed = [place for place, one in enumerate(trajectories) if one]
    if task.labels and parsed:
        chosen = model.choose([leads[place] for place in parsed], [f" {label}" for label in task.labels])
        for place, choice in zip(parsed, chosen, strict=True):
            raws[place] = (choice.text.strip(), choice.usage)
    found = []
    for completion, trajectory, lead, (raw, usage) in zip(written, trajectories, leads, raws, strict=True):
        text = task.parse(raw) if trajectory else ""
        failure = None if text else NO_ANSWER if trajectory else NO_TRAJECTORY
        found.append(Answer(completion.text, text, raw, completion.usage + usage, lead, failure))
    return found


def _selected(model: LanguageModel, task: Task, own: Sequence[Answer], select: str, room: Room) -> Answer:
    """One of the answers to the same question, with the cost of all; the first of equally good ones.

    `consensus` takes the answer that the task's score likes best against the others (minimum Bayes risk), `likelihood`
    the one whose whole text the module itself finds most likely a token.
    """
    if len(own) == 1:
        return own[0]
    usage = sum((one.usage for one in own), Usage())
    sound = [one for one in own if one.text] or own[:1]
    if select == "likelihood":
        asked = [one.lead[:-1] if one.text else one.lead for one in sound]
        values, costs = _likelihoods(model, asked, [one.written for one in sound], room)
        usage = sum(costs, usage)
    else:
        values = [sum(task.score(one.text, other.text) for other in sound) for one in sound]
    best = sound[max(range(len(sound)), key=values.__getitem__)]
    return replace(best, usage=usage)


def gated(model: LanguageModel, pairs: Sequence[tuple[Answer, str]], margin: float, room: Room) -> list[Answer]:
    """Each answer beside its draft, with what the comparison cost, and `kept`: whether the module, after its own
    analysis, finds the draft likelier a token than its answer by over `margin`."""
    leads = [one.lead for one, _ in pairs for _ in range(2)]
    texts = [f" {text}" for one, draft in pairs for text in (draft, one.text)]
    values, costs = _likelihoods(model, leads, texts, room)
    return [
        replace(one, kept=of_draft - of_answer > margin, usage=one.usage + first + second)
        for (one, _), of_draft, of_answer, first, second in zip(
            pairs, values[::2], values[1::2], costs[::2], costs[1::2], strict=True
        )
    ]


def _likelihoods(
    model: LanguageModel, chats: Sequence[Chat], texts: Sequence[str], room: Room
) -> tuple[list[float], list[Usage]]:
    """The log-likelihood a token of each text after its chat, and what each of them costs: it is read as a whole."""
    started = time.perf_counter()
    values = list(model.loglikelihood(chats, texts))
    seconds = (time.perf_counter() - started) / max(1, len(values))
    read = [room.tokens((*chat, Message("assistant", text))) for chat, text in zip(chats, texts, strict=True)]
    return values, [Usage(1, count, 0, seconds) for count in read]
