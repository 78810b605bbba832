"""Reads a short text, such as a title, from what a model wrote around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rpobench.task.wrappings import drop_emphasis, drop_fences, drop_quotes, drop_tags, find_boxed, find_field

NOUNS = "headline|title|subject(?:\\s+line)?|tweet|paraphrase|answer"
ADJECTIVES = (
    "possible|suggested|proposed|potential|generated|paraphrased|rephrased|rewritten|revised|final|best|new|"
    "e-?mail|article|news|paper|scholarly|concise"
)
TEXT_FIELDS = ("title", "headline", "subject", "subject line", "subject_line", "tweet", "paraphrase", "text")

NAMED = rf"(?:(?:my|your)\s+)?(?:(?:{ADJECTIVES})\s+){{0,3}}(?:{NOUNS}|output|response|suggestion)(?:\s+suggestion)?"
LABEL = re.compile(rf"{NAMED}\s*:\s*", re.IGNORECASE)
OPTION = re.compile(r"(?:option|version|suggestion)\s+(?:1|a|one)\s*[:.)]\s*", re.IGNORECASE)
# A heading that only names what follows it: "## Title", "**Headline**".
HEADING = re.compile(rf"(?:#{{1,6}}\s+\**|\*\*){NAMED}\**", re.IGNORECASE)
MARKDOWN = re.compile(r"(?:#{1,6}\s+|>\s+)+")
NUMBER = re.compile(r"(\d{1,2})[.)]\s+")
BULLET = re.compile(r"[-*•]\s+")

COURTESY = r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|no problem|got it|alright)"
NOUN_IN_LEAD = rf"(?:{NOUNS}|option|suggestion|version|rewrite|rephrasing|response|result|attempt)"
# "Here is a possible title for the paper:", "Sure! Here's one:", "A fitting headline could be:".
LEAD = re.compile(
    rf"""(?:{COURTESY}\b[^:.!\n]{{0,60}}?[,.!]?\s*)?
    (?: here(?:['’]s|\s+is|\s+are)\b[^:.\n]{{0,160}}\b{NOUN_IN_LEAD}s?\b[^:.\n]{{0,160}}
      | (?:the|a|an|one|my|your|this|some)\s[^:.\n]{{0,80}}\b{NOUN_IN_LEAD}s?\b[^:.\n]{{0,160}}
        \b(?:is|are|be|as\ follows|include)
      | (?:i\s+would|i['’]d|i|let\s+me|based\s+on)\s[^:.\n]{{0,120}}\b{NOUN_IN_LEAD}s?\b[^:.\n]{{0,160}}
    )\s*:\s*""",
    re.IGNORECASE | re.VERBOSE,
)
# A line of its own that only leads to the next one.
LEAD_LINE = re.compile(
    rf"(?:{COURTESY}\b[^:\n]{{0,200}}|(?:here(?:['’]s|\s+is|\s+are)|below\s+(?:is|are)|(?:the\s+)?following)\b[^:\n]{{0,300}}"
    rf"|here\s+(?:you\s+(?:go|are)|it\s+(?:is|goes)|we\s+go)[^:\n]{{0,40}}"
    rf"|[^:\n]{{0,200}}\b{NOUN_IN_LEAD}s?\b[^:\n]{{0,200}})\s*:|{COURTESY}[,.!]*",
    re.IGNORECASE,
)


def read_title(text: str) -> str:
    """Read the first line with words that leads to no other line.

    Args:
        text: What a model wrote, without its thinking.

    Returns:
        The line without lead-in, label, heading mark, quotes and emphasis; empty where there is none.
    """
    field = find_field(text, TEXT_FIELDS) if text.strip().strip("`").strip()[-1:] == "}" else None
    boxed = find_boxed(text)
    if boxed or field:
        text = boxed or field or ""

    lines = [line.strip() for line in drop_fences(text).splitlines() if _has_words(line)]
    for index, line in enumerate(lines):
        title = _read_line(line, lines[index + 1 :])
        if _has_words(title):
            return title
    return ""


def _read_line(line: str, further_lines: Sequence[str]) -> str:
    """The title in one line; empty where the line only leads to further ones."""
    bare_line = drop_emphasis(MARKDOWN.sub("", line, count=1)).strip()
    if further_lines and (LEAD_LINE.fullmatch(bare_line) or HEADING.fullmatch(line)):
        return ""

    title = MARKDOWN.sub("", line, count=1)
    if _is_listed(title, further_lines):
        title = NUMBER.sub("", title, count=1)
    title = drop_tags(drop_emphasis(BULLET.sub("", title, count=1) if BULLET.match(title) else title).strip())

    for pattern in (LEAD, LABEL, OPTION):
        match = pattern.match(title)
        if match:
            title = title[match.end() :]
    return drop_quotes(drop_emphasis(title.strip().strip("*").strip())).strip()


def _is_listed(line: str, further_lines: Sequence[str]) -> bool:
    """Whether a line is the first of a numbered list."""
    match = NUMBER.match(line)
    if match is None or match[1] != "1":
        return False
    return any(further.startswith(("2.", "2)")) for further in further_lines)


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
