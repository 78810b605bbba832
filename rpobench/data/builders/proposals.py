"""The sources `eips` and `peps`: proposals with their own headers, whose abstract is a text (LaMP-5, LaMP-1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from functools import partial

from rpobench.data.builders import markdown, restructured_text
from rpobench.data.builders.file_source import read_files
from rpobench.data.builders.markdown import Section
from rpobench.data.builders.passages import cut_addresses, join_words
from rpobench.data.builders.repository import Repository
from rpobench.data.builders.writing import Alias, LeftOut, Lengths, Tally, Writing, decode_text, shape_writing

LENGTHS = Lengths(title=(2, 25), text=12, cut=120)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[- ]([A-Za-z]{3})[a-z]*[- ](\d{4})")
AUTHOR = re.compile(r"(?:\([^()]*\)|<[^<>]*>|[^,(<])+")  # up to a comma that stands in no brackets
MAIL = re.compile(r"<([^<>\s]+@[^<>\s]+)>|\(?\b([\w.+-]+@[\w.-]+\.\w+)")
HANDLE = re.compile(r"\(@([\w-]+)\)")
BRACKETS = re.compile(r"<[^<>]*>|\([^()]*\)|\S+@\S+")
FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\n(.*?)\n---[ \t]*(?:\n|$)", re.S)


@dataclass(frozen=True)
class ProposalForm:
    """How the proposals of a community are stored.

    Attributes:
        path: Matches the path of a proposal, with its `number`.
        split: Splits a file into headers and body.
        read_title: Reads a title without marks.
        read_sections: Reads a body as prose.
        sections: The headings that an abstract may have, the best first, in lower case.
        licence: What a proposal says where it is free; None where the licence of the repository covers all.
    """

    path: re.Pattern[str]
    split: Callable[[str], tuple[str, str]]
    read_title: Callable[[str], str]
    read_sections: Callable[[str], list[Section]]
    sections: tuple[str, ...]
    licence: re.Pattern[str] | None = None


def _split_front_matter(text: str) -> tuple[str, str]:
    match = FRONT_MATTER.match(text)
    if match is None:
        raise LeftOut("without headers")
    return match[1], text[match.end() :]


def _split_at_blank_line(text: str) -> tuple[str, str]:
    headers, _, body = text.lstrip("\ufeff\n").partition("\n\n")
    return headers, body


EIPS = ProposalForm(
    re.compile(r"(EIPS|ERCS)/(eip|erc)-(?P<number>\d+)\.md"),
    _split_front_matter,
    markdown.read_inline,
    markdown.read_sections,
    ("abstract", "simple summary", "summary"),
)
PEPS = ProposalForm(
    re.compile(r"(peps/)?pep-0*(?P<number>\d+)\.(rst|txt)"),
    _split_at_blank_line,
    restructured_text.read_inline,
    restructured_text.read_sections,
    ("abstract", "introduction", "overview"),
    re.compile(r"public\s+domain|\bCC0\b|creative\s+commons\s+zero", re.I),
)


def read_proposals(form: ProposalForm, repositories: Sequence[Repository], tally: Tally) -> list[Writing]:
    """Read the proposals of some repositories.

    Args:
        form: How they are stored.
        repositories: The clones.
        tally: Counts what is left out.

    Returns:
        The proposals as writings, in no order. Their keys are their numbers.

    Raises:
        RpobenchError: A clone cannot be read.
    """
    return read_files(repositories, form.path, partial(_read_proposal, form), tally)


def _read_proposal(form: ProposalForm, path: str, content: bytes, passages: Counter[str]) -> Writing:
    """Read one proposal; raises LeftOut where something is missing."""
    match = form.path.fullmatch(path)
    assert match is not None

    headers, body = form.split(decode_text(content))
    fields = HeaderParser().parsestr(f"{headers}\n\n")
    if fields.get("status", "").strip().casefold() == "moved":
        raise LeftOut("moved elsewhere")

    if form.licence and not form.licence.search(body):
        raise LeftOut("without a free licence")

    authors = parse_authors(fields.get("author", ""))
    if not authors:
        raise LeftOut("without an author")

    title = join_words(cut_addresses(form.read_title(fields.get("title", "")), passages)).strip("\"'")
    abstract = _read_abstract(form, body, passages)
    requires = tuple(re.findall(r"\d+", fields.get("requires", "")))
    writing = Writing(match["number"], authors, parse_time(fields.get("created", "")), title, abstract, requires)
    return shape_writing(writing, LENGTHS)


def _read_abstract(form: ProposalForm, body: str, passages: Counter[str]) -> str:
    """Read the best section that is long enough; empty where there is none."""
    sections = form.read_sections(body)
    for heading in form.sections:
        for section in sections:
            if section.heading.strip("*: ").casefold() == heading and len(section.prose.split()) >= LENGTHS.text:
                passages.update(section.passages)
                return section.prose
    return ""


def parse_authors(text: str) -> tuple[Alias, ...]:
    """Parse a list of authors, such as `Ada Byron (@ada), Bo Diddley <bo@x.org>`.

    Args:
        text: The value of a header `Author`.

    Returns:
        The authors in order. A GitHub name counts as the address that GitHub gives to it.
    """
    aliases = []
    for part in AUTHOR.findall(text):
        name = " ".join(BRACKETS.sub(" ", part).split())
        mail, handle = MAIL.search(part), HANDLE.search(part)
        if mail and not name:  # guido@python.org (Guido van Rossum), as old headers have it
            name = " ".join(part.replace(mail[0], "").split()).strip("() ")

        addresses = [next(filter(None, mail.groups()))] if mail else []
        addresses += [f"{handle[1]}@users.noreply.github.com"] if handle else []
        if name or addresses:
            aliases += [Alias(name, address) for address in addresses or [""]]
    return tuple(aliases)


def parse_time(text: str) -> int:
    """Parse a day such as `2019-04-13` or `29-Sep-2014` as seconds since 1970; raises LeftOut where it is none."""
    match = DAY.search(text)
    try:
        if match is None:
            raise LeftOut("without a usable date")
        year, month, day, other_day, month_name, other_year = match.groups()
        if year is None:
            year, month, day = other_year, str(MONTHS.index(month_name.casefold()) + 1), other_day
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError as error:
        raise LeftOut("without a usable date") from error
    return int(moment.timestamp())
