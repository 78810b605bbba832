"""Cuts out of a text what is not the person's own prose: quoted code, mail addresses, signs that no reader sees."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

CODE, MAIL_ADDRESS, TRAILER, TITLE = "quoted code", "mail addresses", "trailers", "repeated titles"  # what is counted

FENCE = re.compile(r"\s*(```|~~~)")
BULLET = re.compile(r"\s{0,6}([-*+•]|\(?[0-9a-z]{1,2}[.)])\s")
QUOTE_INDENT = 2  # columns: a paragraph that is deeper as a whole is a quotation
QUOTE_INDENT_IN_POINT = 6  # the same below a point of a list, whose own text is indented
DEEP_INDENT = 4  # columns: a line within a paragraph that is deeper is a quotation
CODE_LINE = re.compile(r">|\$ |diff --git |@@ |\+\+\+ |--- [ab]/")
ADDRESS = re.compile(r"(\s?<)?\b(mailto:)?[\w.+%-]+@([\w-]+\.)+[A-Za-z]{2,}\b(?(1)>?)")
INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001b\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\ufffc\ufffd]"
)
SIGHT = re.compile("[a-z0-9]")  # what ROUGE sees of a text in lower case
NUMBERS = re.compile(r"\w*\d\w*( \w*\d\w*)*")  # numbers, versions and hashes, which alone make no new text


def cut_code(lines: Sequence[str], passages: Counter[str]) -> list[str]:
    """Leave out code, output and mails that a text quotes, paragraph by paragraph.

    Args:
        lines: The text, line by line.
        passages: Counts the blocks that are left out.

    Returns:
        The other lines. Deeper paragraphs stay where they go on with a point of a list.
    """
    unquoted_lines = _cut_fences(lines, passages)

    prose: list[str] = []
    point_width: int | None = None  # of the point of a list that is being read
    for has_text, paragraph_lines in groupby(unquoted_lines, key=lambda line: bool(line.strip())):
        paragraph = list(paragraph_lines)
        if not has_text:
            prose.append("")
            continue

        least_width = min(map(_measure_indent, paragraph))
        if BULLET.match(paragraph[0]):
            point_width = _measure_indent(paragraph[0])
        elif least_width >= (QUOTE_INDENT if point_width is None else point_width + QUOTE_INDENT_IN_POINT):
            passages[CODE] += 1
            continue
        elif least_width == 0:
            point_width = None

        prose += _cut_code_lines(paragraph, passages, is_list=point_width is not None)
    return prose


def _cut_fences(lines: Sequence[str], passages: Counter[str]) -> list[str]:
    """Leave out what stands between fences of three signs, and the fences."""
    outside: list[str] = []
    is_inside = False
    for line in lines:
        if FENCE.match(line):
            passages[CODE] += not is_inside
            is_inside = not is_inside
            outside.append("")
        elif not is_inside:
            outside.append(line)
    return outside


def _cut_code_lines(paragraph: Sequence[str], passages: Counter[str], *, is_list: bool) -> Iterator[str]:
    """Leave out the lines of a paragraph that are code or a mail: by their first sign, or deep below its prose."""
    is_inside = False
    for line in paragraph:
        is_deep = not is_list and _measure_indent(line) >= DEEP_INDENT
        is_code = is_deep or CODE_LINE.match(line.lstrip()) is not None

        passages[CODE] += is_code and not is_inside
        is_inside = is_code
        if not is_code:
            yield line


def _measure_indent(line: str) -> int:
    """Return the columns before a line's first sign; a tab goes to the next eighth."""
    expanded_line = line.expandtabs()
    return len(expanded_line) - len(expanded_line.lstrip())


def cut_addresses(text: str, passages: Counter[str]) -> str:
    """Cut mail addresses out of a text and count them."""
    if "@" not in text:
        return text

    text, count = ADDRESS.subn("", text)
    passages[MAIL_ADDRESS] += count
    return text


def join_words(text: str, most: int | None = None) -> str:
    """Write a text in one line with single spaces, without signs that no reader sees.

    Args:
        text: Any text.
        most: How many words stay, from the beginning; None for all.

    Returns:
        The words.
    """
    return " ".join(INVISIBLE.sub("", text).split()[:most])


def count_words(text: str) -> int:
    """Count the words of a text in which a letter or a digit is."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


def measure_prose(text: str) -> float:
    """Return the share of letters and spaces among all signs of a text, in [0, 1]."""
    return sum(sign.isalpha() or sign == " " for sign in text) / max(1, len(text))


def is_seen_by_rouge(text: str) -> bool:
    """Say whether a text has a letter a-z or a digit; in others ROUGE sees nothing and scores 0."""
    return SIGHT.search(text.lower()) is not None


def fold(text: str) -> str:
    """Return what two texts have in common that a reader would call the same: words, without case and signs."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def fold_numbers(text: str) -> str:
    """Fold a text as `fold` does, with one sign for every number, version and hash."""
    return NUMBERS.sub("0", fold(text))
