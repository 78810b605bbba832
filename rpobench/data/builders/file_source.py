"""Reads writings from the files of clones: what sources of files have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rpobench.data.builders.repository import Repository
from rpobench.data.builders.writing import Alias, Tally, Writing

CONTACT = re.compile(r"(.*?)\s*<([^<>]*)>")
PLAIN_ADDRESS = re.compile(r"[^<>\s]+@[^<>\s]+")

FileReader = Callable[[str, bytes, Counter[str]], Writing]  # of path and content; counts what is cut out


def read_files(
    repositories: Sequence[Repository], pattern: re.Pattern[str], read: FileReader, tally: Tally
) -> list[Writing]:
    """Read the writings of all files of some repositories.

    Args:
        repositories: The clones, or folders inside them.
        pattern: Matches the whole path of a file.
        read: Reads one file, or raises LeftOut.
        tally: Counts what is left out.

    Returns:
        The writings, in no order, with their authors under the names of the repository's mailmap.

    Raises:
        RpobenchError: A clone cannot be read.
    """
    writings: list[Writing] = []
    for repository in repositories:
        writings_of_files = []
        for path, content in repository.read_files(pattern):
            writings_of_files.append(tally.collect(partial(read, path, content)))
        writings += _map_authors(repository, [writing for writing in writings_of_files if writing is not None])
    return writings


def _map_authors(repository: Repository, writings: Sequence[Writing]) -> list[Writing]:
    """Give authors with a mail address the name and address that the repository's mailmap gives them."""
    aliases = list(dict.fromkeys(alias for writing in writings for alias in writing.authors if _is_contact(alias)))
    contacts = repository.map_contacts([f"{alias.name} <{alias.mail}>" for alias in aliases])

    mapped = dict(zip(aliases, map(_parse_contact, contacts), strict=True))
    return [
        replace(writing, authors=tuple(mapped.get(alias, alias) for alias in writing.authors)) for writing in writings
    ]


def _is_contact(alias: Alias) -> bool:
    """Say whether git can read a name and an address as a contact."""
    return PLAIN_ADDRESS.fullmatch(alias.mail) is not None and not set(alias.name) & set("<>\n")


def _parse_contact(contact: str) -> Alias:
    match = CONTACT.fullmatch(contact)
    assert match is not None, "git answers every contact with one"
    return Alias(match[1], match[2])
