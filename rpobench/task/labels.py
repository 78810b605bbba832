"""Reads one of a fixed list of labels from what a model wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rpobench.task.wrappings import drop_emphasis, drop_fences, drop_quotes, find_boxed, find_field

LABEL_FIELDS = ("label", "tag", "category", "choice", "reference", "citation")

DENIAL = re.compile(
    r"(?:\bnot|n['’]t\s+(?:be\s+|say\s+)?|\brather\s+than|\binstead\s+of|\bneither|\bnor|\bunlike)\s*(?:(?:a|an|the|really|quite)\s+)?\W?$",
    re.IGNORECASE,
)
STATEMENT = re.compile(
    r"\b(?:answer|label|tag|category|choice|reference|prediction|choose|pick|select)\b[^\w\[\n]{0,4}"
    r"(?:(?:is|would\s+be|should\s+be|that\s+fits(?:\s+best)?\s+is|name\s+is)\b)?"
    r"\s*(?:(?:most|likely|probably|clearly|the|a|an)\s+){0,3}[^\w\[\n]{0,4}$",
    re.IGNORECASE,
)

BRACKETED = re.compile(r"\[\d+\]")
ORDINALS = {"first": "1", "second": "2"}
BARE_NUMBER = re.compile(r"(?<![\w.,/-])(?:\d+|first|second)(?![\w/-]|[.,]\d)", re.IGNORECASE)


def read_label(text: str, labels: Sequence[str]) -> str:
    """Read the label that a text gives.

    Args:
        text: What a model wrote, without its thinking.
        labels: The labels of the task.

    Returns:
        The label that the text is, or that stands in its box, its JSON or a line of its own. Else the only one that it
        calls its answer; else the first that it names and does not deny, the longest where several start there. Empty
        where there is none.
    """
    for framed in (find_boxed(text), find_field(text, LABEL_FIELDS)):
        if framed is not None and (label := _read_sentence(framed, labels)):
            return label
    return _read_sentence(drop_fences(text), labels)


def _read_sentence(text: str, labels: Sequence[str]) -> str:
    if text.strip() in labels:
        return text.strip()

    lines = {drop_quotes(drop_emphasis(line.strip()).rstrip(".")).strip() for line in text.splitlines()}
    whole_lines = lines & set(labels)
    if len(whole_lines) == 1:
        return whole_lines.pop()

    # A group a label: ignoring case, `re` also takes ı for i, so the matched text is not always a label's spelling.
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w)({re.escape(label)})(?!\w)" for label in longest_first)

    named, stated = [], set()
    for match in re.finditer(pattern, text, re.IGNORECASE):
        label = longest_first[(match.lastindex or 1) - 1]
        before = text[max(0, match.start() - 60) : match.start()]
        if DENIAL.search(before):
            continue

        named.append(label)
        if STATEMENT.search(before):
            stated.add(label)

    if len(stated) == 1:
        return stated.pop()
    return named[0] if named else _read_without_brackets(text, labels)


def _read_without_brackets(text: str, labels: Sequence[str]) -> str:
    """The label whose number the text gives, where all labels are numbers in brackets: "Reference 2." is [2]."""
    label_by_number = {label[1:-1]: label for label in labels if BRACKETED.fullmatch(label)}
    if len(label_by_number) < len(labels):
        return ""

    named, stated = set(), set()
    text = drop_emphasis(text)
    for match in BARE_NUMBER.finditer(text):
        number = ORDINALS.get(match[0].lower(), match[0])
        before = text[max(0, match.start() - 60) : match.start()]
        if number in label_by_number and not DENIAL.search(before):
            named.add(number)
            if STATEMENT.search(before):
                stated.add(number)

    numbers = stated or named
    return label_by_number[numbers.pop()] if len(numbers) == 1 else ""
