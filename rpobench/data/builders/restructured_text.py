"""Reads reStructuredText as prose, section by section, without directives, quoted code and footnotes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from textwrap import dedent

from rpobench.data.builders.markdown import Section
from rpobench.data.builders.passages import CODE, cut_addresses, cut_code, join_words

UNDERLINE = re.compile(r"([=\-~^\"'`#*+.])\1{2,}\s*$")
DIRECTIVE = re.compile(r"\.\. ")

# Inline marks and what is read of them, in the order in which they are replaced.
INLINE_MARKS = (
    (re.compile(r":(pep|rfc):`(\d+)(?:#[^`]*)?`", re.I), lambda match: f"{match[1].upper()} {match[2]}"),
    (re.compile(r"(?::[\w:.+-]+:)?`([^`<]+?)\s*<[^`>]+>`_{0,2}"), lambda match: match[1]),
    (re.compile(r":[\w:.+-]+:`[~!]?([^`]+)`"), lambda match: match[1]),
    (re.compile(r"``(.+?)``", re.S), lambda match: match[1]),
    (re.compile(r"`([^`]+)`_{0,2}"), lambda match: match[1]),
    (re.compile(r"\s?\[(\d+|#\w*|\*|[A-Za-z][\w.-]*)\]_"), lambda match: ""),
    (re.compile(r"\*\*(\S(?:.*?\S)?)\*\*", re.S), lambda match: match[1]),
    (re.compile(r"(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])"), lambda match: match[1]),
    (re.compile(r"(?<![\w_])([A-Za-z0-9][\w.-]*[A-Za-z0-9])__?(?![\w_])"), lambda match: match[1]),
    (re.compile(r"::(\s|$)"), lambda match: f":{match[1]}"),
    (re.compile(r"\\ ?"), lambda match: ""),
)


def read_sections(text: str) -> list[Section]:
    """Read a text as prose, section by section.

    Args:
        text: The text, without headers.

    Returns:
        The sections in order; one begins at every heading.
    """
    lines = text.expandtabs().splitlines()
    sections, heading, start = [], "", 0

    for index in range(1, len(lines)):
        title, underline = lines[index - 1], lines[index]
        if title.strip() and not title[0].isspace() and _is_underline(underline, title):
            sections.append(_make_section(heading, lines[start : index - 1]))
            heading, start = title, index + 1
    return [*sections, _make_section(heading, lines[start:])]


def read_inline(text: str) -> str:
    """Read a text without headings and blocks: roles, links and emphasis become their words."""
    for mark, replace in INLINE_MARKS:
        text = mark.sub(replace, text)
    return text


def _is_underline(line: str, title: str) -> bool:
    return UNDERLINE.match(line) is not None and len(line.rstrip()) >= min(4, len(title.rstrip()))


def _make_section(heading: str, lines: Sequence[str]) -> Section:
    passages: Counter[str] = Counter()
    body = dedent("\n".join(lines)).splitlines()
    prose = read_inline("\n".join(cut_code(_cut_directives(body, passages), passages)))
    return Section(join_words(heading), join_words(cut_addresses(prose, passages)), passages)


def _cut_directives(lines: Sequence[str], passages: Counter[str]) -> list[str]:
    """Leave out lines that begin with two dots, and what is indented below them."""
    prose: list[str] = []
    is_inside = False
    for line in lines:
        if DIRECTIVE.match(line):
            is_inside = True
            passages[CODE] += 1
        elif line.strip() and not line[0].isspace():
            is_inside = False

        if not is_inside:
            prose.append(line)
    return prose
