"""Reads a commit's message as a title with its text: without trailers, quoted code and mail addresses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from textwrap import dedent

from rpobench.data.builders.passages import TITLE, TRAILER, cut_addresses, cut_code, fold, join_words
from rpobench.data.builders.writing import LeftOut

PATCH_MARK = re.compile(r"^(\[(PATCH|RFC)\b[^\]]*\]\s*)+", re.I)
PULL_REQUEST = re.compile(r"\s*\((?:[\w.-]+/[\w.-]+)?#\d+\)$")
MERGE_TITLE = re.compile(r"Merge (branch|branches|pull request|remote|remote-tracking|tag|tags|commit|commits)\b")
REVERT_TITLE = re.compile(r"(revert|reapply) [\"“'`]|revert(\([^)]*\))?!?:", re.I)
REVERT_TEXT = re.compile(
    r"\bThis (partially |effectively )?reverts (commit|merge)\b|\breverts commit [0-9a-f]{7}", re.I
)
UNFINISHED = re.compile(r"(fixup|squash|amend)! |wip\b", re.I)

# A line such as `Signed-off-by: A. Person`. Prose may begin with one word and a colon, so that words that are no known
# trailer count as one at the message's end alone.
SIGNED = re.compile(
    r"\s*[A-Za-z][\w-]*-(by|to|id|from|with|on):|\s*(cc|change-id|git-svn-id|bug|issue|link|message-id):", re.I
)
TRAILER_LINE = re.compile(
    r"\s*[A-Za-z][A-Za-z0-9-]*( [a-z]+)?: \S|\s*(fixes|closes|resolves|refs?|see)[: ]+(#|http|[\w.-]+/)", re.I
)
PICKED = re.compile(r"\s*\(cherry[- ]picked from|\s*\[[a-z]{2,12}: ", re.I)  # also a maintainer's note: [jc: reworded]
MAIL_HEADER = re.compile(r"From [0-9a-f]{40} |(From|Date|Subject|To|Message-I[dD]): ")  # of a patch sent as a mail
PATCH_NOTES = re.compile(r"-{3}\s*$")


def split_message(message: str) -> tuple[str, list[str]]:
    """Split a message into its title and the lines of its body.

    Args:
        message: The whole message.

    Returns:
        The first paragraph in one line, and the lines below it.
    """
    head, _, body = message.strip("\n").partition("\n\n")

    title = PATCH_MARK.sub("", join_words(head))
    return PULL_REQUEST.sub("", title), dedent(body).splitlines()


def check_message(title: str, body: Sequence[str]) -> None:
    """Refuse a message that its author did not write as a text.

    Args:
        title: The title.
        body: The lines of the body.

    Raises:
        LeftOut: It is git's own message of a merge or of a revert, or one that was to be replaced.
    """
    if MERGE_TITLE.match(title):
        raise LeftOut("merges")
    if REVERT_TITLE.match(title) or any(REVERT_TEXT.search(line) for line in body):
        raise LeftOut("reverts")
    if UNFINISHED.match(title):
        raise LeftOut("unfinished commits")


def read_prose(title: str, body: Sequence[str], passages: Counter[str]) -> str:
    """Reduce a body to the prose of its author.

    Args:
        title: The title; a line that says it once more is cut out.
        body: The lines of the body.
        passages: Counts what is cut out.

    Returns:
        The prose in one line.
    """
    lines = cut_code(_cut_trailers(body, passages), passages)
    folded_title = fold(title)
    prose = [line for line in lines if fold(PULL_REQUEST.sub("", line)) != folded_title]

    passages[TITLE] += len(lines) - len(prose)
    return join_words(cut_addresses("\n".join(prose), passages))


def _cut_trailers(body: Sequence[str], passages: Counter[str]) -> list[str]:
    """Leave out the lines that say who signed, what is closed and the like, and all below a line of three dashes."""
    lines = list(body)
    for index, line in enumerate(lines):
        if PATCH_NOTES.match(line):
            passages[TRAILER] += any(map(str.strip, lines[index:]))
            lines = lines[:index]
            break

    end = _find_trailers(lines)
    passages[TRAILER] += sum(bool(line.strip()) for line in lines[end:])

    prose = []
    for line in lines[:end]:
        if SIGNED.match(line) or PICKED.match(line) or MAIL_HEADER.match(line):
            passages[TRAILER] += 1
        else:
            prose.append(line)
    return prose


def _find_trailers(lines: Sequence[str]) -> int:
    """Return the index of the first line of the last paragraph where that is all trailers, else that of the end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1

    start = end
    while start and lines[start - 1].strip():
        start -= 1

    paragraph = lines[start:end]
    trailers = sum(bool(TRAILER_LINE.match(line) or SIGNED.match(line) or PICKED.match(line)) for line in paragraph)
    return start if paragraph and 2 * trailers > len(paragraph) else end
