"""Summaries of profiles by the base model: in parts where a profile is long, then merged. The prompts are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rpobench.method.context import Context
from rpobench.rpo.form import one_line
from rpobench.task.contract import Task
from rpobench.types import Chat, Example, Message, ProfileItem, Usage

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
    """What the model says of one user, and what it cost; empty for an empty profile. `failure` as in `Completion`."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None


def summaries(task: Task, examples: Sequence[Example], ctx: Context) -> list[Summary]:
    """The summary of each example's profile, in order. Equal profiles have one summary, which is written once.

    The model reads each part of a profile, then its own notes on the parts, in rounds until one note is left.
    """
    notes = _round(task, first_chats(task, examples), ctx)
    whole = [_together(made) for made in notes]
    while long := [place for place, made in enumerate(notes) if len(made) > 1]:
        chats = [[_merge_chat(task, part) for part in _parts([one.text for one in notes[place]])] for place in long]
        for place, made in zip(long, _round(task, chats, ctx), strict=True):
            notes[place] = made
            whole[place] = _together([whole[place], *made])
    return whole


def first_chats(task: Task, examples: Sequence[Example]) -> list[list[Chat]]:
    """What the model is asked about each example's profile: one chat a part, none for an empty profile."""
    lines = [[_line(task, item) for item in example.profile] for example in examples]
    return [[_part_chat(task, part) for part in _parts(own)] for own in lines]


def _round(task: Task, chats: Sequence[Sequence[Chat]], ctx: Context) -> list[list[Summary]]:
    """A note for each chat, grouped as the chats are."""
    flat = [chat for own in chats for chat in own]
    written = iter(ctx.written(f"{task.name}-summaries", flat, max_new_tokens=SUMMARY_TOKENS))
    made = [[next(written) for _ in own] for own in chats]
    return [[Summary(one_line(one.text)[:ITEM_CHARACTERS], one.usage, one.failure) for one in own] for own in made]


def _together(made: Sequence[Summary]) -> Summary:
    """The last note, with the cost of all and the first failure among them."""
    usage = sum((one.usage for one in made), Usage())
    return Summary(made[-1].text if made else "", usage, next((one.failure for one in made if one.failure), None))


def summary_form(task: Task) -> tuple[object, ...]:
    """Everything that words a summary of this task's profiles: a change of it makes other summaries."""
    chats = (_part_chat(task, ["x"]), _merge_chat(task, ["x"]))
    return (*chats, PART_CHARACTERS, ITEM_CHARACTERS, SUMMARY_TOKENS)


def _line(task: Task, item: ProfileItem) -> str:
    """One item in a line; a long one loses words of its text, never its answer."""
    text = one_line(item.fields[task.cut_field])[:ITEM_CHARACTERS]
    return one_line(task.show(replace(item, fields={**item.fields, task.cut_field: text})))[:PART_CHARACTERS]


def _parts(lines: Sequence[str]) -> list[list[str]]:
    """The lines in groups that a small model reads at once."""
    parts: list[list[str]] = []
    room = 0
    for line in lines:
        if room < len(line) or not parts:
            parts.append([])
            room = PART_CHARACTERS
        parts[-1].append(line)
        room -= len(line) + len("\n- ")
    return parts


def _part_chat(task: Task, lines: Sequence[str]) -> Chat:
    history = "\n".join(f"- {line}" for line in lines)
    return (Message("user", f"Past items of one user:\n{history}\nIn one or two sentences, say {_wanted(task)}."),)


def _merge_chat(task: Task, parts: Sequence[str]) -> Chat:
    notes = "\n".join(f"- {part}" for part in parts)
    return (Message("user", f"Notes about one user:\n{notes}\nIn one or two sentences, say {_wanted(task)}."),)


def _wanted(task: Task) -> str:
    return WANTED[task.kind].format(noun=task.noun) if task.answer_field else TOPICS
