"""Says which names and mail addresses are one person, who is a program, and what a person is called in the files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from scipy.cluster.hierarchy import DisjointSet

from rpobench.data.builders.writing import Alias, Writing

ID_DIGITS = 12  # hex digits of a hashed name
MOST_NAMES_OF_AN_ADDRESS = 5  # more have people who share it, and it says nothing about who is who

# A program that writes. Names such as Abbott and Rabot are people's.
PROGRAM = re.compile(r"\[bot\]|(^|[\W_])bots?($|[\W_\d])", re.I)
PROGRAM_NAME = re.compile(
    r"(\w+bot\d*|renovate|greenkeeper|github|github[- ]?actions?|web-flow|travis|travis[- ]ci|circle ?ci|jenkins|"
    r"mergify|snyk|pre-?commit|weblate|hosted weblate|transifex|all-?contributors|semantic-release|codecov|bors|root|"
    r".*auto-?roll(er)?|.*[-\s]ci|.*\bautomat(ion|ic|ed)\b.*)",
    re.I,
)
OFFICE = re.compile(
    r"\b(team|offices?|departments?|dept|agency|administration|staff|council|committee|bureau|services?|cent(er|re)|"
    r"institute|editors?|editorial|admin|guest|anonymous|unknown|community|group|foundation|association|press|program|"
    r"project|contributors?|university|company|inc|ltd|llc|gmbh|corporation|organi[sz]ation|government|ministry)\b",
    re.I,
)
GITHUB_ADDRESS = re.compile(r"^\d+\+(?=.*@users\.noreply\.github\.com$)")

# Addresses that many machines or people have.
SHARED_LOCAL_PARTS = re.compile(r"root|git|admin(istrator)?|user|nobody|none|unknown|no-?reply|you|me|dev|info")
SHARED_DOMAINS = re.compile(r"(^|\.)(localhost|localdomain|local|example\.(com|org|net)|\(none\))$")


@dataclass(frozen=True)
class People:
    """The people of a source.

    Attributes:
        ids: The hashed name of each alias; a program has none.
    """

    ids: Mapping[Alias, str]

    def list_authors(self, writing: Writing) -> list[str]:
        """List the hashed names of the people who wrote a text, each once, the first author first."""
        return list(dict.fromkeys(self.ids[alias] for alias in writing.authors if alias in self.ids))


def identify_people(writings: Iterable[Writing], prefix: str, salt: str) -> People:
    """Merge the names and mail addresses of each person, and hash what remains.

    Two aliases are one person where they share a mail address or a name of two words and more, also through a third. A
    name of one word says too little, and so does an address that many people use. A person is called by the first
    full name in time, which later commits leave as it is; without one by the first mail address.

    Args:
        writings: All writings, the oldest first.
        prefix: What every hashed name begins with.
        salt: Is hashed with every name.

    Returns:
        The people.
    """
    aliases = list(dict.fromkeys(alias for writing in writings for alias in writing.authors))
    people = [alias for alias in aliases if not is_program(alias)]
    handles = _list_handles(people)

    sets = DisjointSet(list(dict.fromkeys(handle for alias in people for handle in handles[alias])))
    for alias in people:
        first_handle, *further_handles = handles[alias]
        for handle in further_handles:
            sets.merge(first_handle, handle)

    # The first alias in time names its person.
    names: dict[str, str] = {}
    for alias in people:
        for handle in handles[alias]:
            root = sets[handle]
            is_better = handle.startswith(FULL_NAME) and not names.get(root, FULL_NAME).startswith(FULL_NAME)
            if root not in names or is_better:
                names[root] = handle

    return People({alias: hash_name(prefix, salt, names[sets[handles[alias][0]]]) for alias in people})


@cache
def is_program(alias: Alias) -> bool:
    """Say whether a name, or the beginning of a mail address, is that of a program."""
    name, account = alias.name.strip(), alias.mail.partition("@")[0]

    return bool(PROGRAM.search(name) or PROGRAM.search(account) or PROGRAM_NAME.fullmatch(name))


def is_office(alias: Alias) -> bool:
    """Say whether a name is that of an office, a team or another group, of which nobody knows who wrote."""
    return OFFICE.search(alias.name.replace("_", " ")) is not None


def hash_name(prefix: str, salt: str, name: str) -> str:
    """Hash what names a person or a writing.

    Args:
        prefix: What the hash begins with, such as `git-log`.
        salt: Makes hashes of the same name differ.
        name: Anything.

    Returns:
        Such as `git-log-0123456789ab`.
    """
    digest = hashlib.sha256("\0".join((salt, name)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}-{digest[:ID_DIGITS]}"


FULL_NAME, ADDRESS, SINGLE_NAME = "name ", "mail ", "alias "  # what a handle begins with


def _list_handles(aliases: Sequence[Alias]) -> dict[Alias, list[str]]:
    """List what can tie each alias to others: its full name and its address; else the alias as it is."""
    names_by_address = defaultdict(set)
    for alias in aliases:
        names_by_address[_fold_address(alias.mail)].add(_fold_name(alias.name))

    handles = {}
    for alias in aliases:
        name, address = _fold_name(alias.name), _fold_address(alias.mail)
        alias_handles = [f"{FULL_NAME}{name}"] if " " in name and "@" not in name else []
        if address and len(names_by_address[address]) <= MOST_NAMES_OF_AN_ADDRESS:
            alias_handles.append(f"{ADDRESS}{address}")

        handles[alias] = alias_handles or [f"{SINGLE_NAME}{name} {alias.mail}"]
    return handles


def _fold_name(name: str) -> str:
    """Return a name without case and surplus spaces; an underscore between words counts as a space."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").split())


def _fold_address(mail: str) -> str:
    """Return a mail address without case and GitHub's number; empty where many people may have it."""
    address = GITHUB_ADDRESS.sub("", mail.strip().casefold())
    local_part, at, domain = address.partition("@")

    is_personal = bool(at and local_part and domain) and not SHARED_LOCAL_PARTS.fullmatch(local_part)
    return address if is_personal and not SHARED_DOMAINS.search(domain) else ""
