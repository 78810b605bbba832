"""Summaries of profiles by the base model: in parts where a profile is long, then merged. The prompts are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from rpobench.baselines.grouping import split_into_groups

from rpobench.api import (
    Chat,
    Completion,
    Example,
    Message,
    ProfileItem,
    Task,
    Usage,
    fails_for_good,
    first_failure,
    total_usage,
)
from rpobench.method.context import Context
from rpobench.rpo.form import one_line

PART_CHARACTERS = 4000  # about 1,000 tokens, which leaves a small model's attention on what it reads
ITEM_CHARACTERS = 600
SUMMARY_TOKENS = 64
SUBJECTS = {
    "label": "which {noun} this user tends to give, and to what",
    "rating": "how high this user rates, what she praises and what she blames",
    "text": "how this user writes a {noun}: length, word choice, how it begins and ends",
}
TOPICS = "which subjects and methods this author works on"  # where items hold no answer of the task's form


@dataclass(frozen=True, slots=True)
class Summary:
    """What the model says of one user.

    Attributes:
        text: The summary; empty for an empty profile.
        usage: What it cost in calls and tokens.
        failure: Why the model gave none, as in `Completion`.
        permanent: Whether the failure would come again, as in `Completion`.
    """

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    failure: str | None = None
    permanent: bool = False


def summarize_profiles(task: Task, examples: Sequence[Example], context: Context) -> list[Summary]:
    """Summarize each example's profile.

    The model reads each part of a profile, then its own notes on the parts, in rounds until one note is left.

    Args:
        task: Words the items and what the model is to look for.
        examples: Whose profiles are read. Equal profiles have one summary, which is written once.
        context: Lends the base model.

    Returns:
        One summary for each example, in order.
    """
    notes_by_profile = _write_notes(task, first_chats(task, examples), context)
    summaries = [_combine_notes(notes) for notes in notes_by_profile]

    while True:
        long_profiles = [index for index, notes in enumerate(notes_by_profile) if len(notes) > 1]
        if not long_profiles:
            return summaries

        chats = [_merge_chats(task, notes_by_profile[index]) for index in long_profiles]
        merged_notes = _write_notes(task, chats, context)

        for index, notes in zip(long_profiles, merged_notes, strict=True):
            notes_by_profile[index] = notes
            summaries[index] = _combine_notes([summaries[index], *notes])


def first_chats(task: Task, examples: Sequence[Example]) -> list[list[Chat]]:
    """List what the model is asked about each example's profile before it merges its notes.

    Args:
        task: Words the items and the question.
        examples: Whose profiles are read.

    Returns:
        For each example one chat a part of its profile; none for an empty profile.
    """
    chats_by_profile = []
    for example in examples:
        parts = _split_into_parts([_item_line(task, item) for item in example.profile])
        chats_by_profile.append([_part_chat(task, part) for part in parts])

    return chats_by_profile


def summary_wording(task: Task) -> tuple[object, ...]:
    """Collect everything that words a summary of this task's profiles: a change of it makes other summaries."""
    chats = (_part_chat(task, ["x"]), _merge_chat(task, ["x"]))

    return (*chats, PART_CHARACTERS, ITEM_CHARACTERS, SUMMARY_TOKENS)


def _write_notes(task: Task, chats_by_profile: Sequence[Sequence[Chat]], context: Context) -> list[list[Summary]]:
    """A note for each chat, grouped as the chats are."""
    all_chats = list(chain.from_iterable(chats_by_profile))
    completions = context.generate_once(f"{task.name}-summaries", all_chats, max_new_tokens=SUMMARY_TOKENS)

    notes = [_note(completion) for completion in completions]
    return split_into_groups(notes, [len(chats) for chats in chats_by_profile])


def _note(completion: Completion) -> Summary:
    text = one_line(completion.text)[:ITEM_CHARACTERS]
    return Summary(text, completion.usage, completion.failure, completion.permanent)


def _combine_notes(notes: Sequence[Summary]) -> Summary:
    """The last note, with the cost of all and the first failure among them."""
    text = notes[-1].text if notes else ""
    return Summary(text, total_usage(notes), first_failure(notes), fails_for_good(notes))


def _item_line(task: Task, item: ProfileItem) -> str:
    """One item in a line; a long one loses words of its text, never its answer."""
    text = one_line(item.fields[task.cut_field])[:ITEM_CHARACTERS]
    shortened = replace(item, fields={**item.fields, task.cut_field: text})
    return one_line(task.show(shortened))[:PART_CHARACTERS]


def _split_into_parts(lines: Sequence[str]) -> list[list[str]]:
    """The lines in groups that a small model reads at once."""
    parts: list[list[str]] = []
    free_characters = 0
    for line in lines:
        if free_characters < len(line) or not parts:
            parts.append([])
            free_characters = PART_CHARACTERS

        parts[-1].append(line)
        free_characters -= len(line) + len("\n- ")

    return parts


def _part_chat(task: Task, lines: Sequence[str]) -> Chat:
    history = "\n".join(f"- {line}" for line in lines)
    return (Message("user", f"Past items of one user:\n{history}\nIn one or two sentences, say {_subject(task)}."),)


def _merge_chats(task: Task, notes: Sequence[Summary]) -> list[Chat]:
    """What the model is asked to merge these notes, a chat for each group of notes that it reads at once."""
    note_texts = [note.text for note in notes]

    return [_merge_chat(task, part) for part in _split_into_parts(note_texts)]


def _merge_chat(task: Task, note_texts: Sequence[str]) -> Chat:
    notes = "\n".join(f"- {text}" for text in note_texts)
    return (Message("user", f"Notes about one user:\n{notes}\nIn one or two sentences, say {_subject(task)}."),)


def _subject(task: Task) -> str:
    """What a summary is to be about."""
    return SUBJECTS[task.kind].format(noun=task.noun) if task.answer_field else TOPICS
