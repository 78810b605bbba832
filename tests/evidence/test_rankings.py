"""Rankings of profiles: made once, remembered, large sets kept on disk under the name of exactly their data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from counting_retriever import CountingRetriever

from rpobench import get_retriever, get_task
from rpobench.evidence import rankings as rankings_module
from rpobench.evidence.rankings import Rankings, read_rankings, write_rankings
from rpobench.types import Example, ProfileItem, RpobenchError

TASK = get_task("LaMP-3")


def make_examples(count: int, size: int = 5) -> list[Example]:
    items = [ProfileItem(str(number), {"text": f"word{number} and", "score": "3"}) for number in range(size)]

    examples = []
    for number in range(count):
        profile = tuple(items[: number % (size + 1)])
        examples.append(Example(str(number), "u", f"{TASK.instruction}word{number % size}", profile))
    return examples


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where rankings are kept of 20 items and more."""
    monkeypatch.setattr(rankings_module, "MANY_ITEMS", 20)
    return tmp_path / "orders"


def test_rankings_of_a_data_set_are_kept_for_the_next_process(folder: Path) -> None:
    first_retriever, second_retriever, examples = CountingRetriever(), CountingRetriever(), make_examples(12)

    rankings = Rankings(0, folder).rank_data_set(TASK, examples, first_retriever, "data")
    assert first_retriever.calls == 12 and rankings[4][0] == 0 and sorted(rankings[9]) == [0, 1, 2]

    later_rankings = Rankings(0, folder).rank_data_set(TASK, examples, second_retriever, "data")
    assert later_rankings == [list(ranking) for ranking in rankings]
    assert second_retriever.calls == 0 and [file.suffix for file in folder.iterdir()] == [".npz"]


@pytest.mark.parametrize("change", ["data", "seed", "ranker", "task"])
def test_another_name_reads_no_kept_ranking(folder: Path, change: str) -> None:
    retriever, examples = CountingRetriever(), make_examples(12)
    Rankings(0, folder).rank_data_set(TASK, examples, CountingRetriever(), "data")

    if change == "ranker":
        retriever.identity = "counting-2"
    seed = 1 if change == "seed" else 0
    task = get_task("LaMP-7") if change == "task" else TASK
    data = "other" if change == "data" else "data"
    Rankings(seed, folder).rank_data_set(task, examples, retriever, data)

    assert retriever.calls == 12


@pytest.mark.parametrize("change", ["a text", "an input", "an example less"])
def test_examples_without_a_name_are_known_by_their_contents(folder: Path, change: str) -> None:
    retriever, examples = CountingRetriever(), make_examples(12)
    Rankings(0, folder).rank(TASK, examples, retriever)
    Rankings(0, folder).rank(TASK, make_examples(12), retriever)
    assert retriever.calls == 12

    if change == "a text":
        changed_item = ProfileItem("0", {"text": "x", "score": "3"})
        examples[3] = replace(examples[3], profile=(changed_item, *examples[3].profile[1:]))
    elif change == "an input":
        examples[3] = replace(examples[3], input="other")
    else:
        examples = examples[:-1]
    Rankings(0, folder).rank(TASK, examples, retriever)

    assert retriever.calls == 12 + len(examples)


def test_few_rankings_are_not_kept_and_none_without_a_folder(folder: Path) -> None:
    Rankings(0, folder).rank(TASK, make_examples(3), CountingRetriever())
    Rankings(0).rank(TASK, make_examples(12), CountingRetriever())

    assert not folder.exists()


def test_expected_examples_are_ranked_together(folder: Path) -> None:
    retriever, examples, rankings = CountingRetriever(), make_examples(12), Rankings(0, folder)
    rankings.expect(TASK, examples, "data")
    assert retriever.calls == 0

    first_part = rankings.rank(TASK, examples[2:3], retriever)
    assert retriever.calls == 12 and len(list(folder.iterdir())) == 1

    all_rankings = rankings.rank(TASK, examples, retriever)
    assert all_rankings[2:3] == first_part and retriever.calls == 12
    kept_rankings = Rankings(0, folder).rank_data_set(TASK, examples, CountingRetriever(), "data")
    assert kept_rankings == [list(ranking) for ranking in all_rankings]


def test_a_swapped_profile_never_gets_the_own_ranking(folder: Path) -> None:
    texts = ["word1 and", "other", "more"]
    profiles = []
    for profile_texts in (texts, texts[::-1]):
        items = [ProfileItem(str(n), {"text": text, "score": "3"}) for n, text in enumerate(profile_texts)]
        profiles.append(tuple(items))
    example, rankings = Example("1", "u", f"{TASK.instruction}word1", profiles[0]), Rankings(0, folder)
    rankings.expect(TASK, [example], "own")

    best_indices = []
    for profile in profiles:
        (ranking,) = rankings.rank(TASK, [replace(example, profile=profile)], get_retriever("bm25"))
        best_indices.append(ranking[0])

    assert best_indices == [0, 2]


def test_a_damaged_file_is_named(folder: Path) -> None:
    Rankings(0, folder).rank_data_set(TASK, make_examples(12), CountingRetriever(), "data")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:40])

    with pytest.raises(RpobenchError, match=rf"{file.name}: is damaged .*: delete it"):
        Rankings(0, folder).rank_data_set(TASK, make_examples(12), CountingRetriever(), "data")


def test_rankings_read_back_with_empty_ones(tmp_path: Path) -> None:
    rankings = [[2, 0, 1], [], [0], []]

    write_rankings(tmp_path / "a.npz", rankings)

    assert read_rankings(tmp_path / "a.npz") == rankings
