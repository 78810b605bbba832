"""Reads markdown as prose: paragraphs and points of lists, without headings, code, tables, quotations and images."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rpobench.data.builders.passages import CODE, cut_addresses, join_words

# What site builders put between the lines: {{< image >}}, {{% note %}}, {% include %}, {{ page.title }}, [caption]
SITE_CODE = re.compile(r"\{\{[<%]?.*?[%>]?\}\}|\{%.*?%\}|\{:.*?\}|\[/?(caption|embed|gallery|youtube)[^\]]*\]", re.S)
SITE_LINK = re.compile(r"(?<=\]\()\s*" + SITE_CODE.pattern, re.S)
COMMENT = re.compile(r"<!--.*?-->", re.S)
SCRIPT = re.compile(r"<(script|style)\b.*?</\1>", re.S | re.I)
HTML_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
UNREAD_EMPHASIS = re.compile(r"\*{2,}|_{2,}(?=\W|$)|(?<!\S)_{2,}")
SPACE_BEFORE_SIGN = re.compile(r"(?<=\w)\s+(?=[.,;:!?](\s|$))")
SKIPPED = ("heading", "table", "blockquote")  # blocks that are not read
CODE_BLOCKS = ("fence", "code_block")


@dataclass(frozen=True)
class Section:
    """A part of a markdown text.

    Attributes:
        heading: The words of its heading; empty before the first heading.
        prose: Its prose in one line.
        passages: What was cut out of it.
    """

    heading: str
    prose: str
    passages: Counter[str]


def read_markdown(text: str, passages: Counter[str]) -> str:
    """Read a markdown text as prose.

    Args:
        text: The text, without front matter.
        passages: Counts what is cut out.

    Returns:
        The prose in one line.
    """
    sections = read_sections(text)
    for section in sections:
        passages.update(section.passages)
    return join_words(" ".join(section.prose for section in sections))


def read_sections(text: str) -> list[Section]:
    """Read a markdown text as prose, section by section.

    Args:
        text: The text, without front matter.

    Returns:
        The sections in order; one begins at every heading.
    """
    for pattern, replacement in ((COMMENT, " "), (SCRIPT, " "), (SITE_LINK, "# "), (SITE_CODE, " ")):
        text = pattern.sub(replacement, text)
    tokens = _parser().parse(text)

    parts: list[list[_Block]] = [[_Block("", is_heading=True)]]
    for block in _list_blocks(tokens):
        if block.is_heading:
            parts.append([])
        parts[-1].append(block)
    return [_make_section(heading.text, blocks) for heading, *blocks in parts]


def read_inline(text: str) -> str:
    """Read a line such as a title: links, emphasis and entities become their words."""
    (line,) = _parser().parseInline(HTML_TAG.sub(" ", text))
    return join_words(_join_inline(line.children or []))


@dataclass(frozen=True)
class _Block:
    """A heading, a paragraph or code, with its text."""

    text: str
    is_heading: bool = False
    is_code: bool = False


def _list_blocks(tokens: Sequence[Token]) -> Iterator[_Block]:
    """Yield what is read of a text in order."""
    skipped_depth, is_heading = 0, False
    for token in tokens:
        kind = token.type.removesuffix("_open").removesuffix("_close")
        if kind == "heading":
            is_heading = token.nesting > 0
        elif kind in SKIPPED:
            skipped_depth += token.nesting
        elif token.type in CODE_BLOCKS:
            yield _Block("", is_code=True)
        elif token.type == "html_block" and not skipped_depth:
            yield _Block(html.unescape(HTML_TAG.sub(" ", token.content)))
        elif token.type == "inline" and not skipped_depth:
            yield _Block(_join_inline(token.children or []), is_heading)


def _join_inline(tokens: Sequence[Token]) -> str:
    """Join the words of a paragraph; a link is its words, an image nothing."""
    words = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak", "html_inline"):
            words.append(" ")
        elif token.type != "image":
            words.append(token.content)
    return "".join(words)


def _make_section(heading: str, blocks: Sequence[_Block]) -> Section:
    passages = Counter({CODE: sum(block.is_code for block in blocks)})
    prose = cut_addresses(" ".join(block.text for block in blocks), passages)
    for pattern, replacement in ((HTML_TAG, ""), (UNREAD_EMPHASIS, ""), (SPACE_BEFORE_SIGN, "")):
        prose = pattern.sub(replacement, prose)
    return Section(join_words(heading), join_words(prose), passages)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")
