"""`data build eips` and `data build peps`: titles from abstracts, and which proposal the next one requires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from git_history import Commit, make_repository
from people_history import read_questions, write_prose

from rpobench import get_task
from rpobench.data.builders.build import BuildOptions, build
from rpobench.data.builders.proposals import parse_authors, parse_time
from rpobench.data.builders.restructured_text import read_sections
from rpobench.data.builders.writing import Alias, LeftOut
from rpobench.data.official.built import BuiltSource
from rpobench.data.official.defects import find_defects
from rpobench.types import RpobenchError

LETTERS = "abcdefghijklmnop"


def write_eip(number: int, author: str, *, requires: str = "", abstract: str = "", more: str = "") -> dict[str, str]:
    """A proposal of the day of its number."""
    headers = f"eip: {number}\ntitle: The title of {LETTERS[number]}\nauthor: {author}\nstatus: Final\n"
    headers += f"created: 2020-01-{number + 1:02}\n{more}"
    if requires:
        headers += f"requires: {requires}\n"

    abstract = abstract or write_prose(LETTERS[number])
    body = f"## Simple Summary\n\nShort.\n\n## Abstract\n\n{abstract}\n\n## Motivation\n\nWhy.\n"
    return {f"EIPS/eip-{number}.md": f"---\n{headers}---\n\n{body}"}


def write_pep(number: int, author: str, *, abstract: str = "", licence: str = "public domain") -> dict[str, str]:
    headers = f"PEP: {number}\nTitle: The title of {LETTERS[number]}\nAuthor: {author}\nStatus: Final\n"
    headers += f"Created: {number + 1:02}-Feb-2010\n"

    abstract = abstract or write_prose(LETTERS[number])
    body = f"Abstract\n========\n\n{abstract}\n\nCopyright\n=========\n\n{licence}\n"
    return {f"peps/pep-{number:04}.rst": f"{headers}\n\n{body}"}


def build_files(
    tmp_path: Path, source: str, *files: Mapping[str, str | bytes], **options: int
) -> tuple[BuiltSource, Path]:
    content: dict[str, str | bytes] = {}
    for more in files:
        content |= more

    clone = make_repository(tmp_path / f"{source}-clone", [Commit("all of it", files=content)])
    return build(source, [str(clone)], tmp_path / "data", BuildOptions(**options)), tmp_path / "data"


def test_an_abstract_asks_for_its_title_with_earlier_ones_as_profile(tmp_path: Path) -> None:
    built, out = build_files(tmp_path, "eips", *(write_eip(number, "Ada Byron (@ada)") for number in range(5)))

    latest, before = sorted(read_questions(out, "LaMP_5"), key=lambda question: -len(question["profile"]))
    assert latest["input"] == f"{get_task('LaMP-5').instruction}{write_prose('e')}"
    assert latest["target"] == "The title of e" and before["target"] == "The title of d"
    assert [item["date"] for item in latest["profile"]] == [f"2020-01-0{day}" for day in (1, 2, 3, 4)]
    assert latest["profile"][0]["abstract"] == write_prose("a") and built.licence == "CC0-1.0"
    assert find_defects(out, [get_task("LaMP-5")]) == []


def test_peps_are_read_by_their_own_headers(tmp_path: Path) -> None:
    built, out = build_files(tmp_path, "peps", *(write_pep(number, "Ada Byron <ada@x.org>") for number in range(4)))

    (question,) = read_questions(out, "LaMP_5")
    assert question["target"] == "The title of d" and question["profile"][0]["date"] == "2010-02-01"
    assert built.licence == "public domain or CC0-1.0"


def test_a_person_under_two_names_is_one_by_mail_and_by_handle(tmp_path: Path) -> None:
    authors = (
        "Ada Byron <ada@x.org>",
        "Ada Lovelace <ada@x.org>",
        "Ada Lovelace (@countess)",
        "The Countess (@Countess)",
    )
    _, out = build_files(tmp_path, "eips", *(write_eip(number, author) for number, author in enumerate(authors)))

    assert len(read_questions(out, "LaMP_5")) == 1


def test_a_mailmap_joins_authors_of_files_too(tmp_path: Path) -> None:
    authors = ("Ada Byron <ada@x.org>", "Ada Byron <ada@x.org>", "Lady L <ada@castle.org>", "Lady L <ada@castle.org>")
    files = [write_pep(number, author) for number, author in enumerate(authors)]
    mailmap = {".mailmap": "Ada Byron <ada@x.org> <ada@castle.org>\n"}
    (tmp_path / "apart").mkdir()

    with pytest.raises(RpobenchError, match="nobody has 4 usable writings for LaMP-5 and LaMP-1"):
        build_files(tmp_path / "apart", "peps", *files)
    _, out = build_files(tmp_path, "peps", mailmap, *files)
    assert len(read_questions(out, "LaMP_5")) == 1


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"ERCS/erc-2.md": write_eip(2, "Ada Byron")["EIPS/eip-2.md"]}, "duplicates"),
        ({"EIPS/eip-9.md": "---\neip: 9\nstatus: Moved\n---\n\nThis file was moved"}, "moved elsewhere"),
        ({"EIPS/eip-9.md": "# no headers\n"}, "without headers"),
        ({"EIPS/eip-9.md": b"---\ntitle: A t\xe9st\n---\n"}, "undecodable"),
        (write_eip(9, ""), "without an author"),
        (write_eip(9, "Ada Byron", abstract="Too few words."), "texts too short"),
        (write_eip(9, "Ada Byron", abstract=write_prose("a")), "duplicates"),
    ],
)
def test_what_is_no_usable_proposal_is_left_out_and_counted(
    tmp_path: Path, files: dict[str, str | bytes], reason: str
) -> None:
    built, _ = build_files(tmp_path, "eips", *(write_eip(number, "Ada Byron") for number in range(4)), files)

    assert built.counts["LaMP-5"].left_out == {reason: 1}


def test_peps_without_a_free_licence_are_left_out(tmp_path: Path) -> None:
    files = [write_pep(number, "Ada Byron") for number in range(4)]
    built, _ = build_files(tmp_path, "peps", *files, write_pep(4, "Ada Byron", licence="Open Publication License"))

    assert built.counts["LaMP-5"].left_out == {"without a free licence": 1}


def write_two_worlds() -> list[dict[str, str]]:
    """Ada builds on 0, Bo on 1, six times each."""
    files = [write_eip(0, "Cy Young"), write_eip(1, "Cy Young")]
    for number in range(2, 14):
        files.append(write_eip(number, *(("Ada Byron",) if number % 2 else ("Bo Diddley",)), requires=str(number % 2)))
    return files


def test_references_are_an_older_required_proposal_and_one_that_others_required(tmp_path: Path) -> None:
    _, out = build_files(tmp_path, "eips", *write_two_worlds())

    questions = read_questions(out, "LaMP_1")
    assert len(questions) == 6 and find_defects(out, [get_task("LaMP-1")]) == []
    for question in questions:
        title, first, second = question["input"].split('"')[1::2]
        right = "The title of b" if LETTERS.index(title[-1]) % 2 else "The title of a"
        assert {first, second} == {"The title of a", "The title of b"}
        assert question["target"] == ("[1]" if first == right else "[2]")


def test_the_wrong_reference_is_not_one_of_the_persons_own(tmp_path: Path) -> None:
    files = [write_eip(number, "Ada Byron", requires=str(number - 1) if number else "") for number in range(6)]
    built, _ = build_files(tmp_path, "eips", *files)

    assert built.counts["LaMP-1"].questions == {"train": 0, "dev": 0, "test": 0}, "nobody else required anything"


def test_a_task_that_was_asked_for_must_have_questions(tmp_path: Path) -> None:
    clone = make_repository(
        tmp_path / "clone",
        [Commit("all", files={path: text for number in range(4) for path, text in write_eip(number, "Ada B").items()})],
    )

    with pytest.raises(RpobenchError, match="nobody has 4 usable writings for LaMP-1"):
        build("eips", [str(clone)], tmp_path / "data", BuildOptions(tasks=("LaMP-5", "LaMP-1")))


def test_two_sources_stand_in_one_folder_whatever_their_order(tmp_path: Path) -> None:
    sources = {
        "eips": [write_eip(number, "Ada Byron") for number in range(6)],
        "peps": [write_pep(number, "Bo Diddley") for number in range(6)],
    }
    (tmp_path / "turned").mkdir()
    for source, files in sources.items():
        build_files(tmp_path, source, *files)
    for source in ("peps", "eips"):
        build_files(tmp_path / "turned", source, *sources[source])

    assert {question["user_id"].split("-")[0] for question in read_questions(tmp_path / "data", "LaMP_5")} == set(
        sources
    )
    for file in (tmp_path / "data").rglob("*.json"):
        assert file.read_bytes() == (tmp_path / "turned" / file.relative_to(tmp_path)).read_bytes()


def test_a_changed_folder_takes_no_other_source(tmp_path: Path) -> None:
    _, out = build_files(tmp_path, "eips", *(write_eip(number, "Ada Byron") for number in range(6)))
    for file in (out / "LaMP_5").glob("*_questions.json"):
        file.write_text(file.read_text() + " ")

    with pytest.raises(RpobenchError, match="was changed since"):
        build_files(tmp_path, "peps", *(write_pep(number, "Ada Byron") for number in range(6)))


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("Ada B (@ada), Bo D <bo@x.org>", [Alias("Ada B", "ada@users.noreply.github.com"), Alias("Bo D", "bo@x.org")]),
        ("Ada B (@ada) <ada@x.org>", [Alias("Ada B", "ada@x.org"), Alias("Ada B", "ada@users.noreply.github.com")]),
        ("Ada B <ada@x.org>,\n        Bo D <bo@x.org>", [Alias("Ada B", "ada@x.org"), Alias("Bo D", "bo@x.org")]),
        ("guido@python.org (Guido van Rossum)", [Alias("Guido van Rossum", "guido@python.org")]),
        ("Ada B, Bo D,", [Alias("Ada B"), Alias("Bo D")]),
        ("", []),
    ],
)
def test_authors_are_parsed_in_every_form(text: str, aliases: list[Alias]) -> None:
    assert list(parse_authors(text)) == aliases


def test_days_are_parsed_in_both_forms() -> None:
    assert parse_time("2014-09-29") == parse_time("29-Sep-2014") == parse_time("29 September 2014") == 1411948800
    for text in ("", "soon", "2014-13-01", "31-Feb-2014", "12-Foo-2014"):
        with pytest.raises(LeftOut, match="without a usable date"):
            parse_time(text)


def test_restructured_text_is_read_as_prose() -> None:
    text = """\
:pep:`484` and :rfc:`2616` say so [1]_, in ``code`` and :mod:`~a.b.c`,
by `a link <http://x.org>`__ to a name_ of *some* **weight**::

    x = 1

.. note::

   left out

Done.

Next
----

- more
"""
    first, second = read_sections(text)

    assert first.prose == "PEP 484 and RFC 2616 say so, in code and a.b.c, by a link to a name of some weight: Done."
    assert first.passages == Counter({"quoted code": 2}) and (second.heading, second.prose) == ("Next", "- more")
