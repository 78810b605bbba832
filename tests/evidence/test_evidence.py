"""Evidence: ranked once within one profile, cut to the budget, what was cut counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import Words

from rpobench import get_retriever, get_task
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.retrievers import Retriever
from rpobench.evidence.source import RankedEvidence
from rpobench.method.config import EvidenceConfig
from rpobench.types import Example, ProfileItem

TASK = get_task("LaMP-4")


class Counting(Retriever):
    """BM25 that counts its calls."""

    identity = "counting"

    def __init__(self) -> None:
        self.keys: list[str] = []

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        self.keys.append(key)
        return get_retriever("bm25").rank(query, texts, dates=dates, key=key)


def item(key: str, text: str, title: str = "t") -> ProfileItem:
    return ProfileItem(key, {"title": title, "text": text})


def example(*items: ProfileItem, key: str = "1", text: str = "sun and rain") -> Example:
    return Example(key, "u", f"{TASK.instruction}{text}", items)


def source(ranker: Counting) -> RankedEvidence:
    return RankedEvidence(lambda name: ranker, Words, seed=3)


def limits(k: int, max_prompt_tokens: int = 500, most: int | None = None) -> EvidenceConfig:
    return EvidenceConfig(k=k, max_prompt_tokens=max_prompt_tokens, max_evidence_tokens=most)


def test_the_best_items_of_the_own_profile_come_best_first() -> None:
    one = example(item("a", "fog"), item("b", "rain rain"), item("c", "snow"), item("d", "sun rain"), item("f", "ice"))
    two = example(item("e", "hail"), key="2")
    found = source(Counting()).evidence(TASK, [one, two], retriever="x", limits=limits(2))
    assert [evidence.ids for evidence in found] == [("d", "b"), ("e",)]
    assert found[0].items[0] == one.profile[3] and found[0].cut == 0


def test_an_empty_profile_gives_empty_evidence() -> None:
    assert source(Counting()).evidence(TASK, [example()], retriever="x", limits=limits(2, 9))[0].ids == ()


def test_a_profile_is_ranked_once_for_any_k_and_again_when_it_or_the_input_changes() -> None:
    ranker = Counting()
    evidence = source(ranker)
    one = example(item("a", "fog"), item("b", "rain"), item("c", "ice"))
    for k in (1, 2, 2):
        evidence.evidence(TASK, [one], retriever="x", limits=limits(k))
    assert ranker.keys == ["3/LaMP-4/1"]
    other = replace(one, profile=one.profile[:2])
    evidence.evidence(TASK, [other, example(*one.profile, text="ice")], retriever="x", limits=limits(1))
    assert len(ranker.keys) == 3


def test_an_evidence_budget_leaves_out_whole_items_but_never_the_best_one() -> None:
    long, short = item("a", "rain " * 9), item("b", "rain")
    one = example(long, short, item("c", "fog"), item("d", "ice"), item("f", "hail"), text="rain")
    shown = {}
    for limit in (None, 16, 12, 1):
        found = source(Counting()).evidence(TASK, [one], retriever="x", limits=limits(4, most=limit))
        shown[limit] = (found[0].ids, found[0].cut)
    assert len(TASK.show(long).split()) == 11 and len(TASK.show(short).split()) == 3
    assert [len(ids) for ids, _ in shown.values()] == [4, 2, 1, 1]
    assert all(cut == 0 and ids == shown[None][0][: len(ids)] for ids, cut in shown.values())


def test_long_items_are_cut_to_equal_shares_and_a_short_one_leaves_its_rest() -> None:
    long = " ".join(f"w{place}" for place in range(200))
    items = [item("a", "one two"), item("b", long), item("c", long)]
    fitted = fit_evidence(TASK, example(*items), items, 120, Words())
    kept = [len(one.fields["text"].split()) for one in fitted.items]
    assert kept[0] == 2 and kept[1] > kept[2] > 20
    assert fitted.cut == 402 - sum(kept)
    assert long.startswith(fitted.items[1].fields["text"]) and fitted.items[1].fields["title"] == "t"


def test_where_the_official_code_drops_the_profile_the_best_items_stay() -> None:
    items = [item(str(place), "some words here", title="a long title of many words " * 3) for place in range(8)]
    fitted = fit_evidence(TASK, example(*items), items, 100, Words())
    assert 0 < len(fitted.items) < 8 and fitted.ids == tuple(str(place) for place in range(len(fitted.items)))
    assert fitted.cut >= 3 * (8 - len(fitted.items))


def test_no_room_at_all_leaves_no_item_and_counts_everything() -> None:
    items = [item("a", "some words here")]
    assert (fit_evidence(TASK, example(*items), items, 3, Words())) == replace(
        fit_evidence(TASK, example(), [], 3, Words()), cut=3
    )


@given(lengths=st.lists(st.integers(0, 60), max_size=5), budget=st.integers(1, 150), asked=st.integers(0, 80))
def test_a_fitted_prompt_keeps_the_budget_unless_the_input_alone_breaks_it(
    lengths: list[int], budget: int, asked: int
) -> None:
    items = [item(str(place), " ".join(["w"] * length)) for place, length in enumerate(lengths)]
    tokenizer, one = Words(), example(*items, text=" ".join(["q"] * asked))
    fitted = fit_evidence(TASK, one, items, budget, tokenizer)
    shown = tokenizer.encode(TASK.prompt(one, fitted.items)[0].content)
    assert len(shown) <= max(budget, len(tokenizer.encode(one.input)) + budget)
    assert fitted.cut == sum(lengths) - sum(len(one.fields["text"].split()) for one in fitted.items)


@pytest.mark.parametrize("name", ["LaMP-1", "LaMP-2", "LaMP-2N", "LaMP-3", "LaMP-5", "LaMP-6", "LaMP-7"])
def test_every_task_shows_and_cuts_its_items(name: str) -> None:
    task = get_task(name)
    one = ProfileItem("a", {field: f"{field} of words" for field in task.fields})
    asked = Example("1", "u", f'{task.instruction}title "x" "y" "z" N', (one,))
    fitted = fit_evidence(task, asked, [one], 200, Words())
    assert fitted.items == (one,) and task.cut_field in task.show(one)
    if task.answer_field:
        assert f"{task.answer_field} of words" in task.show(one)
