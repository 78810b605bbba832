"""The source `front-matter`: markdown with author, title and date (LaMP-4 from its text, LaMP-5 from its abstract)."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import yaml

from rpobench.data.builders.file_source import read_files
from rpobench.data.builders.markdown import read_inline, read_markdown
from rpobench.data.builders.passages import cut_addresses, join_words
from rpobench.data.builders.people import is_office, is_program
from rpobench.data.builders.proposals import parse_time
from rpobench.data.builders.repository import Repository
from rpobench.data.builders.writing import Alias, LeftOut, Lengths, Tally, Writing, decode_text, shape_writing

ARTICLE = Lengths(title=(2, 25), text=30, cut=160)
ABSTRACT = Lengths(title=(2, 25), text=12, cut=120)
MARKDOWN = re.compile(r".*\.(md|markdown|mdx)", re.I | re.S)
YAML = re.compile(r"---[ \t]*\n(.*?)^(---|\.\.\.)[ \t]*$", re.S | re.M)
TOML = re.compile(r"\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*$", re.S | re.M)
DAY_IN_NAME = re.compile(r"(?:^|/)(\d{4}-\d{2}-\d{2})[-_][^/]*$")  # of a file: 2014-05-01-a-title.md
BETWEEN_NAMES = re.compile(r"\s*(?:[,;&]|\band\b)\s*")

# The names that fields have, the first that is there counts.
AUTHOR_FIELDS = ("authors", "author")
DATE_FIELDS = ("date", "published", "created")
ABSTRACT_FIELDS = ("abstract", "summary", "description")

Fields = Mapping[str, Any]


def read_articles(repositories: Sequence[Repository], tally: Tally) -> list[Writing]:
    """Read articles, with the prose below their front matter as text.

    Args:
        repositories: The clones, or folders inside them.
        tally: Counts what is left out.

    Returns:
        The articles as writings, in no order.

    Raises:
        RpobenchError: A clone cannot be read.
    """
    return read_files(repositories, MARKDOWN, partial(_read_file, ARTICLE), tally)


def read_abstracts(repositories: Sequence[Repository], tally: Tally) -> list[Writing]:
    """Read articles, with the abstract in their front matter as text. See `read_articles`."""
    return read_files(repositories, MARKDOWN, partial(_read_file, ABSTRACT), tally)


def _read_file(lengths: Lengths, path: str, content: bytes, passages: Counter[str]) -> Writing:
    """Read one file; raises LeftOut where something is missing."""
    fields, body = _split(decode_text(content))
    title = fields.get("title")
    if not isinstance(title, str):
        raise LeftOut("without a title")
    if fields.get("draft") is True:
        raise LeftOut("drafts")

    authors = _find_people(fields)
    time = _read_time(_get_first(fields, DATE_FIELDS), path)
    title = join_words(cut_addresses(read_inline(title), passages))
    text = read_markdown(body if lengths is ARTICLE else str(_get_first(fields, ABSTRACT_FIELDS) or ""), passages)
    return shape_writing(Writing(path, authors, time, title, text), lengths)


def _split(text: str) -> tuple[Fields, str]:
    """Split a file into the fields of its front matter, in YAML or TOML, and its body."""
    for form, parse in ((YAML, _parse_yaml), (TOML, tomllib.loads)):
        match = form.match(text)
        if match is None:
            continue

        try:
            fields = parse(match[1])
        except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError) as error:
            raise LeftOut("front matter that cannot be read") from error
        if isinstance(fields, dict):
            return {str(name).lower(): value for name, value in fields.items()}, text[match.end() :]
    raise LeftOut("without front matter")


def _parse_yaml(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _get_first(fields: Fields, names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name)), None)


def _find_people(fields: Fields) -> tuple[Alias, ...]:
    """Find the authors who are people; raises LeftOut where there are none."""
    authors = _list_authors(_get_first(fields, AUTHOR_FIELDS))
    if not authors:
        raise LeftOut("without an author")

    people = tuple(author for author in authors if not is_program(author))
    if not people:
        raise LeftOut("bots")

    people = tuple(author for author in people if not is_office(author))
    if not people:
        raise LeftOut("by offices")
    return people


def _list_authors(value: Any) -> list[Alias]:
    """List the authors of a field: a name or several, a list of names, or of fields `name` and `email`."""
    if isinstance(value, str):
        return [Alias(name) for name in BETWEEN_NAMES.split(join_words(value)) if name]
    if isinstance(value, list):
        return [alias for part in value for alias in _list_authors(part)]
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        mail = value.get("email")
        return [Alias(join_words(value["name"]), mail if isinstance(mail, str) else "")]
    return []


def _read_time(value: Any, path: str) -> int:
    """Read a date as seconds since 1970; without one that of the file's name; raises LeftOut where there is none."""
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, date):
        return parse_time(value.isoformat())

    day_in_name = DAY_IN_NAME.search(path)
    return parse_time(str(value) if value else day_in_name[1] if day_in_name else "")
