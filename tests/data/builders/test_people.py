"""Who is who: names and mail addresses that are one person, programs, and hashed names."""

from __future__ import annotations

import pytest

from rpobench.data.builders.people import identify_people, is_program
from rpobench.data.builders.writing import Alias, Writing


def identify(*aliases: Alias, salt: str = "salt") -> list[str | None]:
    """The hashed name of each alias, in the order in which they wrote."""
    writings = [Writing(str(time), (alias,), time, "", "") for time, alias in enumerate(aliases)]
    people = identify_people(writings, "log", salt)
    return [people.ids.get(alias) for alias in aliases]


def count_people(*aliases: Alias) -> int:
    return len(set(identify(*aliases)))


@pytest.mark.parametrize(
    "aliases",
    [
        (Alias("Ada Byron", "ada@x.org"), Alias("Ada Lovelace", "ada@x.org")),
        (Alias("Ada Byron", "ada@x.org"), Alias("Ada Byron", "ada@y.org")),
        (Alias("Ada Byron", "ada@x.org"), Alias("ada  BYRON", "ada@y.org")),
        (Alias("Ada Byron", "ada@x.org"), Alias("ada_byron", "ada@y.org")),
        (Alias("Ada Byron", "Ada@X.org"), Alias("ada", "ada@x.org")),
        (Alias("ada", "1+ada@users.noreply.github.com"), Alias("Ada B", "ada@users.noreply.github.com")),
        (Alias("A B", "a@x.org"), Alias("C D", "c@x.org"), Alias("A B", "c@x.org")),
    ],
)
def test_a_shared_address_or_full_name_makes_one_person(aliases: tuple[Alias, ...]) -> None:
    assert count_people(*aliases) == 1


@pytest.mark.parametrize(
    "aliases",
    [
        (Alias("Ada Byron", "ada@x.org"), Alias("Bo Diddley", "bo@x.org")),
        (Alias("alex", "alex@x.org"), Alias("alex", "alex@y.org")),
        (Alias("Ada Byron", "root@localhost"), Alias("Bo Diddley", "root@localhost")),
        (Alias("Ada Byron", "you@example.com"), Alias("Bo Diddley", "you@example.com")),
        (Alias("Ada Byron", ""), Alias("Bo Diddley", "")),
    ],
)
def test_first_names_and_addresses_of_many_say_nothing(aliases: tuple[Alias, ...]) -> None:
    assert count_people(*aliases) == len(aliases)


def test_an_address_with_many_names_is_an_office() -> None:
    offices = [Alias(f"Person Number{letter}", "press@agency.org") for letter in "abcdef"]

    assert count_people(*offices) == 6 and count_people(*offices[:5]) == 1


def test_a_person_keeps_the_name_of_the_first_commit() -> None:
    first, second = Alias("Ada Byron", "ada@x.org"), Alias("Ada Lovelace", "ada@x.org")

    assert identify(first) == identify(first, second)[:1] == identify(first, second)[1:]
    assert identify(Alias("ada", "ada@x.org"), first) == identify(first, first), "a full name says more than a nickname"


def test_the_salt_hides_names() -> None:
    ada = Alias("Ada Byron", "ada@x.org")

    assert identify(ada) != identify(ada, salt="another")
    assert identify(ada) == ["log-40ac9975064e"]


@pytest.mark.parametrize(
    "alias",
    [
        Alias("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"),
        Alias("EIP Review Bot", "x@y.org"),
        Alias("snyk-bot", "snyk-bot@snyk.io"),
        Alias("Somebody", "release-bot@x.org"),
        Alias("CircleCI", "ci@x.org"),
        Alias("github-actions", "x@y.org"),
        Alias("skia-autoroll", "x@y.org"),
        Alias("Build Automation", "x@y.org"),
    ],
)
def test_programs_are_nobody(alias: Alias) -> None:
    assert is_program(alias) and identify(alias) == [None]


@pytest.mark.parametrize(
    "alias",
    [
        Alias("Laura Abbott", "laura.abbott@x.org"),
        Alias("Sylvain Rabot", "srabot@x.org"),
        Alias("James Bottomley", "jb@x.org"),
        Alias("Paul Tarjan", "github@paulisageek.com"),
        Alias("Travis E. Oliphant", "travis@x.org"),
        Alias("Jenkins Smith", "j@x.org"),
    ],
)
def test_people_with_names_like_programs_stay(alias: Alias) -> None:
    assert not is_program(alias)


def test_a_text_of_a_program_and_a_person_is_the_persons() -> None:
    writing = Writing("1", (Alias("x[bot]"), Alias("Ada Byron"), Alias("Ada Byron", "ada@x.org")), 0, "", "")
    people = identify_people([writing], "log", "salt")

    assert len(people.list_authors(writing)) == 1
