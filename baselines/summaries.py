"""Summaries of profiles by the base model: in parts where a profile is long, then merged. The prompts are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rpobench.context import Context
from rpobench.rpo.prompts import one_line
from rpobench.task import Task
from rpobench.types import Chat, Example, Message, Usage

PART_CHARACTERS = 4000  # about 1,000 tokens, which leaves a small model's attention on what it reads
ITEM_CHARACTERS = 600
SUMMARY_TOKENS = 64
WANTED = {
    "label": "which {noun} this user tends to give, and to what",
    "rating": "how high this user rates, what she praises and what she blames",
    "text": "how this user writes a {noun}: length, word choice, how it begins and ends",
}
TOPICS = "which subjects and methods this author works on"  # where items hold no answer of the task's form


@dataclass(frozen=True, slots=True)
class Summary:
    """What the model says of one user, and what it cost; empty for an empty profile."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)


def summaries(task: Task, examples: Sequence[Example], ctx: Context) -> list[Summary]:
    """The summary of each example's profile, in order. Equal profiles have one summary, which is written once."""
    parts = [[_part_chat(task, part) for part in _parts(task, example)] for example in examples]
    name = f"{task.name}-summaries"
    flat = ctx.written(name, [chat for chats in parts for chat in chats], max_new_tokens=SUMMARY_TOKENS)
    texts = iter(flat)
    found = [[Summary(one_line(one.text), one.usage) for _, one in zip(chats, texts, strict=False)] for chats in parts]
    long = {place: _merge_chat(task, made) for place, made in enumerate(found) if len(made) > 1}
    merged = dict(zip(long, ctx.written(name, list(long.values()), max_new_tokens=SUMMARY_TOKENS), strict=True))
    whole = []
    for place, made in enumerate(found):
        usage = sum((one.usage for one in made), Usage())
        if place in merged:
            whole.append(Summary(one_line(merged[place].text), usage + merged[place].usage))
        else:
            whole.append(Summary(made[0].text, usage) if made else Summary())
    return whole


def summary_form(task: Task) -> tuple[object, ...]:
    """Everything that words a summary of this task's profiles: a change of it makes other summaries."""
    chats = (_part_chat(task, ["x"]), _merge_chat(task, [Summary("x")]))
    return (*chats, PART_CHARACTERS, ITEM_CHARACTERS, SUMMARY_TOKENS)


def _parts(task: Task, example: Example) -> list[list[str]]:
    """The items as lines, in parts that a small model reads at once."""
    parts: list[list[str]] = []
    room = 0
    for item in example.profile:
        line = one_line(task.show(item))[:ITEM_CHARACTERS]
        if room < len(line):
            parts.append([])
            room = PART_CHARACTERS
        parts[-1].append(line)
        room -= len(line)
    return parts


def _part_chat(task: Task, lines: Sequence[str]) -> Chat:
    history = "\n".join(f"- {line}" for line in lines)
    return (Message("user", f"Past items of one user:\n{history}\nIn one or two sentences, say {_wanted(task)}."),)


def _merge_chat(task: Task, parts: Sequence[Summary]) -> Chat:
    notes = "\n".join(f"- {part.text}" for part in parts)
    return (Message("user", f"Notes about one user:\n{notes}\nIn one or two sentences, say {_wanted(task)}."),)


def _wanted(task: Task) -> str:
    return WANTED[task.kind].format(noun=task.noun) if task.answer_field else TOPICS
