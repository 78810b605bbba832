"""Orders of profiles: ranked once, remembered, large sets kept on disk under the name of exactly their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from rpobench import get_retriever, get_task
from rpobench.evidence import rankings as rankings_module
from rpobench.evidence.rankings import Rankings, read_rankings, write_rankings
from rpobench.evidence.retrievers import Retriever
from rpobench.types import Example, ProfileItem, RpobenchError

TASK = get_task("LaMP-3")


class Counting(Retriever):
    """BM25 that counts its calls."""

    identity = "counting"

    def __init__(self) -> None:
        self.calls = 0

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        self.calls += 1
        return get_retriever("bm25").rank(query, texts, dates=dates, key=key)


def examples(count: int, size: int = 5) -> list[Example]:
    items = [ProfileItem(str(place), {"text": f"word{place} and", "score": "3"}) for place in range(size)]
    return [
        Example(str(number), "u", f"{TASK.instruction}word{number % size}", tuple(items[: number % (size + 1)]))
        for number in range(count)
    ]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rankings_module, "KEPT_FROM", 20)
    return tmp_path / "orders"


def test_orders_of_named_data_are_kept_and_found_by_the_next_who_asks(kept: Path) -> None:
    first, second, some = Counting(), Counting(), examples(12)
    made = Rankings(0, kept).rank_data_set(TASK, some, first, "data")
    assert first.calls == 12 and made[4][0] == 0 and sorted(made[9]) == [0, 1, 2]
    assert Rankings(0, kept).rank_data_set(TASK, some, second, "data") == [list(order) for order in made]
    assert second.calls == 0 and [file.suffix for file in kept.iterdir()] == [".npz"]


@pytest.mark.parametrize("change", ["data", "seed", "ranker", "task"])
def test_another_name_finds_nothing(kept: Path, change: str) -> None:
    ranker, some = Counting(), examples(12)
    Rankings(0, kept).rank_data_set(TASK, some, Counting(), "data")
    if change == "ranker":
        ranker.identity = "counting-2"
    task = get_task("LaMP-7") if change == "task" else TASK
    Rankings(int(change == "seed"), kept).rank_data_set(task, some, ranker, "other" if change == "data" else "data")
    assert ranker.calls == 12


@pytest.mark.parametrize("change", ["a text", "an input", "an example less"])
def test_examples_without_a_name_are_known_by_what_is_ranked(kept: Path, change: str) -> None:
    ranker, some = Counting(), examples(12)
    Rankings(0, kept).rank(TASK, some, ranker)
    Rankings(0, kept).rank(TASK, examples(12), ranker)
    assert ranker.calls == 12
    if change == "a text":
        some[3] = replace(some[3], profile=(ProfileItem("0", {"text": "x", "score": "3"}), *some[3].profile[1:]))
    elif change == "an input":
        some[3] = replace(some[3], input="other")
    else:
        some = some[:-1]
    Rankings(0, kept).rank(TASK, some, ranker)
    assert ranker.calls == 12 + len(some)


def test_little_is_not_kept_and_without_a_folder_nothing_is(kept: Path) -> None:
    Rankings(0, kept).rank(TASK, examples(3), Counting())
    Rankings(0).rank(TASK, examples(12), Counting())
    assert not kept.exists()


def test_what_is_expected_is_ranked_together_and_asked_for_in_parts(kept: Path) -> None:
    ranker, some, held = Counting(), examples(12), Rankings(0, kept)
    held.expect(TASK, some, "data")
    assert ranker.calls == 0
    first = held.rank(TASK, some[2:3], ranker)
    assert ranker.calls == 12 and len(list(kept.iterdir())) == 1
    assert held.rank(TASK, some, ranker)[2:3] == first and ranker.calls == 12
    assert Rankings(0, kept).rank_data_set(TASK, some, Counting(), "data") == [
        list(one) for one in held.rank(TASK, some, ranker)
    ]


def test_a_swapped_profile_with_the_same_ids_never_gets_the_own_order(kept: Path) -> None:
    words = ["word1 and", "other", "more"]
    own = tuple(ProfileItem(str(place), {"text": text, "score": "3"}) for place, text in enumerate(words))
    other = tuple(ProfileItem(str(place), {"text": text, "score": "3"}) for place, text in enumerate(words[::-1]))
    one, held = Example("1", "u", f"{TASK.instruction}word1", own), Rankings(0, kept)
    held.expect(TASK, [one], "own")
    best = [held.rank(TASK, [replace(one, profile=profile)], get_retriever("bm25"))[0][0] for profile in (own, other)]
    assert best == [0, 2]


def test_a_damaged_file_is_named(kept: Path) -> None:
    Rankings(0, kept).rank_data_set(TASK, examples(12), Counting(), "data")
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(RpobenchError, match=rf"{file.name}: is damaged .*: delete it"):
        Rankings(0, kept).rank_data_set(TASK, examples(12), Counting(), "data")


def test_orders_read_back_with_empty_ones(tmp_path: Path) -> None:
    made = [[2, 0, 1], [], [0], []]
    write_rankings(tmp_path / "a.npz", made)
    assert read_rankings(tmp_path / "a.npz") == made
