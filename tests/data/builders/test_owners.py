"""Every writing has one owner, every owner a split."""

from __future__ import annotations

from collections import Counter

from rpobench.data.builders.owners import choose_owners, choose_split
from rpobench.data.builders.people import identify_people
from rpobench.data.builders.writing import Alias, Tally, Writing


def own(*authors: str, least: int) -> tuple[list[list[str]], Tally]:
    """The keys of the writings of each owner; the authors of a writing are letters, the first author first."""
    writings = [
        Writing(str(time), tuple(Alias(f"Person {letter}") for letter in letters), time, "", "")
        for time, letters in enumerate(authors)
    ]
    tally = Tally()
    owners = choose_owners(writings, identify_people(writings, "log", "salt"), least, tally)
    return sorted([writing.key for writing in owned] for owned in owners.values()), tally


def test_a_text_of_two_people_counts_for_the_first_who_has_enough() -> None:
    owned, tally = own("ab", "ab", "a", "b", "b", least=2)
    assert owned == [["0", "1", "2"], ["3", "4"]] and not tally.writings

    owned, tally = own("cb", "b", "b", least=2)
    assert owned == [["0", "1", "2"]], "c has too few"


def test_who_has_too_few_loses_them_to_the_co_authors() -> None:
    owned, tally = own("ab", "ab", "a", "b", least=4)
    assert owned == [] and tally.writings == {"by people who have fewer than 4": 4}

    owned, tally = own("ab", "ab", "b", "b", "bc", "c", "c", least=3)
    assert owned == [["0", "1", "2", "3", "4"]], "a and c have 2 of their own"


def test_the_poorest_loses_first() -> None:
    owned, _ = own("ab", "ab", "a", "bc", "b", least=3)

    assert owned == [["0", "1", "2"]], "b has 2 alone, a has 3 with both"


def test_splits_are_half_a_quarter_a_quarter() -> None:
    counts = Counter(choose_split(f"log-{number}", "salt") for number in range(8000))

    assert abs(counts["train"] - 4000) < 150 and abs(counts["dev"] - 2000) < 150
    assert [choose_split(f"log-{number}", "salt") for number in range(6)] != [
        choose_split(f"log-{number}", "other") for number in range(6)
    ]
