"""A commit's message becomes a title with its author's prose."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent

import pytest

from rpobench.data.builders.commit_message import read_prose, split_message
from rpobench.data.builders.passages import cut_addresses, fold_numbers, join_words


def read(text: str) -> tuple[str, Counter[str]]:
    """The prose of a message's body, and what was cut out of it."""
    passages: Counter[str] = Counter()
    title, body = split_message(f"a title\n\n{dedent(text)}")
    prose = read_prose(title, body, passages)
    return prose, +passages


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("fix the parser", "fix the parser"),
        ("fix\nthe parser", "fix the parser"),
        ("[PATCH v2 3/7] fix the parser", "fix the parser"),
        ("fix the parser (#1234)", "fix the parser"),
        ("fix the parser (org/repo#12)", "fix the parser"),
        ("fix [the] parser (again)", "fix [the] parser (again)"),
    ],
)
def test_a_title_is_the_first_paragraph_without_marks(head: str, title: str) -> None:
    assert split_message(f"{head}\n\nbody")[0] == title


def test_trailers_are_cut_and_counted() -> None:
    text = """\
        Prose of a body.
        Note: this line is prose.

        [jc: reworded the title]

        (cherry picked from commit 0123456789)
        Fixes: #12
        Co-authored-by: Bo <bo@x.org>
        Signed-off-by: Ada <ada@x.org>
        """
    assert read(text) == ("Prose of a body. Note: this line is prose.", Counter(trailers=5))


def test_a_signature_in_the_middle_and_what_is_below_three_dashes_are_cut() -> None:
    text = "Prose.\nSigned-off-by: Ada <ada@x.org>\nMore prose.\n\n---\n file.c | 2 +-\n"

    assert read(text) == ("Prose. More prose.", Counter(trailers=2))


def test_headers_of_a_patch_in_a_mail_are_cut() -> None:
    text = f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada\nSubject: [PATCH] a title\n\nProse.\n"

    assert read(text) == ("Prose.", Counter(trailers=3))


def test_a_body_of_trailers_alone_is_empty() -> None:
    assert read("Change-Id: I0123\nSigned-off-by: Ada <ada@x.org>\n")[0] == ""


@pytest.mark.parametrize(
    "quoted",
    [
        "    x = 1;\n    y = 2;",
        "\tmake test",
        "  $ git log\n  commit 012345",
        "```\nx = 1\n\ny = 2\n```",
        "~~~ sh\nmake\n~~~",
        "> somebody else's words",
        "diff --git a/x b/x\n@@ -1 +1 @@",
    ],
)
def test_quoted_code_and_mails_are_cut_and_counted(quoted: str) -> None:
    prose, passages = read(f"Before it.\n\n{quoted}\n\nAfter it.\n")

    assert prose == "Before it. After it." and passages == {"quoted code": 1}


def test_code_in_a_paragraph_is_cut_and_a_list_stays() -> None:
    text = """\
        As in:
            make test
        it fails.

         - the first point
           goes on

           and has a second paragraph

                but no code

         - the second point

        Done.
        """
    prose, passages = read(text)

    assert prose == "As in: it fails. - the first point goes on and has a second paragraph - the second point Done."
    assert passages == {"quoted code": 2}


def test_mail_addresses_are_cut_and_counted() -> None:
    passages: Counter[str] = Counter()
    text = cut_addresses("Found by Bo <bo.d+x@mail.x-y.org>, see mailto:a@b.co.uk or user@host", passages)

    assert text == "Found by Bo, see  or user@host" and passages == {"mail addresses": 2}


def test_a_line_that_says_the_title_once_more_is_cut() -> None:
    prose, passages = read("* A title (#12)\n\nA title is more than this.\n")

    assert prose == "A title is more than this." and passages == {"repeated titles": 1}


def test_what_nobody_sees_is_cut_and_words_are_joined() -> None:
    assert join_words("a\u200b \x1b[1m b\r\n\tc\ufeff d", most=3) == "a [1m b"


def test_texts_that_differ_in_numbers_alone_are_alike() -> None:
    assert fold_numbers("Bump x from v1.2 to 1.3.4 (abc123)") == fold_numbers("bump X from 2 to v3.0 (0def).")
    assert fold_numbers("Bump x from 1.2") != fold_numbers("Bump y from 1.2")
