"""Which words a method adds to the official prompts, and whether `prompts()` holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rpobench.store.identity import Quoted
from rpobench.task.contract import Task
from rpobench.types import Chat, Evidence, Example, Labelled, Message, ProfileItem

WORD = re.compile(r"[^\W\d_]{2,}")


def find_undeclared_words(
    chats: Iterable[Chat],
    declared: object,
    task: Task,
    examples: Sequence[Example],
    *,
    train: Sequence[Labelled] = (),
    evidence: Sequence[Evidence] = (),
    replies: Sequence[str] = (),
) -> list[str]:
    """Find words in what a model was asked that neither the data, the task nor `prompts()` hold.

    Args:
        chats: What the model was asked.
        declared: What `Method.prompts` returns.
        task: The task of all chats.
        examples: What was predicted.
        train: What was learned from.
        evidence: The evidence that was handed out; its items may be cut.
        replies: What the model answered, which a later chat may quote.

    Returns:
        The words of the first chat that has some, in their order; empty where every word is accounted for.
    """
    all_examples = [*examples, *(labelled.example for labelled in train)]
    items = [item for example in all_examples for item in example.profile]
    items += [item for shown in evidence for item in shown.items]

    spans = _list_official_spans(task, all_examples, items)
    free_words = _collect_words([*_list_data_texts(task, all_examples, items, train), *replies])
    free_words |= _collect_words(_flatten(declared)) | _find_joining_words(task, all_examples, items, spans)

    for chat in chats:
        own_words = _remove_spans(" ".join(message.content for message in chat), spans)
        undeclared = [word for word in WORD.findall(own_words) if word.lower() not in free_words]
        if undeclared:
            return list(dict.fromkeys(undeclared))
    return []


def _list_official_spans(task: Task, examples: Sequence[Example], items: Sequence[ProfileItem]) -> list[str]:
    """The parts of official prompts, the longest first, so that no part hides a longer one."""
    spans = {example.input for example in examples} | {task.content(example) for example in examples}
    spans |= {task.wrap(item) for item in items} | {task.show(item) for item in items}
    for item in items:
        spans |= {text for text in (task.pair(item) or ()) if text}
    spans |= {task.instruction.strip()}

    return sorted((span for span in spans if len(span) > 1), key=len, reverse=True)


def _list_data_texts(
    task: Task, examples: Sequence[Example], items: Sequence[ProfileItem], train: Sequence[Labelled]
) -> Iterator[str]:
    """The texts of the data, whose words say nothing of a method's own."""
    yield from (task.content(example) for example in examples)
    yield from (labelled.target for labelled in train)
    yield from task.labels
    for item in items:
        yield from map(str, item.fields.values())


def _find_joining_words(
    task: Task, examples: Sequence[Example], items: Sequence[ProfileItem], spans: Sequence[str]
) -> set[str]:
    """The words with which official prompts join items and input."""
    if not items:
        return set()

    official_chat = task.prompt(examples[0], [items[0], items[0]])
    return _collect_words([_remove_spans(official_chat[-1].content, spans)])


def _remove_spans(text: str, spans: Sequence[str]) -> str:
    for span in spans:
        text = text.replace(span, " ")
    return text


def _collect_words(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in WORD.findall(text)}


def _flatten(declared: object) -> Iterator[str]:
    """Every text in what `prompts()` returns."""
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, Message):
        yield declared.content
    elif isinstance(declared, Quoted):
        yield from _flatten(declared.value)
    elif isinstance(declared, Mapping):
        yield from _flatten([*declared.keys(), *declared.values()])
    elif isinstance(declared, Iterable):
        for part in declared:
            yield from _flatten(part)
