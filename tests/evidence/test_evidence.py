"""Evidence: ranked once within one profile, cut to the budget, what was cut counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from counting_retriever import CountingRetriever
from hypothesis import given
from hypothesis import strategies as st
from words import Words

from rpobench import get_task
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.evidence.source import RankedEvidence
from rpobench.method.config import EvidenceConfig
from rpobench.types import Example, ProfileItem

TASK = get_task("LaMP-4")


def item(key: str, text: str, title: str = "t") -> ProfileItem:
    return ProfileItem(key, {"title": title, "text": text})


def make_example(*items: ProfileItem, key: str = "1", text: str = "sun and rain") -> Example:
    return Example(key, "u", f"{TASK.instruction}{text}", items)


def source(retriever: CountingRetriever) -> RankedEvidence:
    return RankedEvidence(lambda name: retriever, Words, seed=3)


def limits(k: int, max_prompt_tokens: int = 500, max_evidence_tokens: int | None = None) -> EvidenceConfig:
    return EvidenceConfig(k=k, max_prompt_tokens=max_prompt_tokens, max_evidence_tokens=max_evidence_tokens)


def test_the_best_items_of_the_own_profile_come_best_first() -> None:
    items = (item("a", "fog"), item("b", "rain rain"), item("c", "snow"), item("d", "sun rain"), item("f", "ice"))
    example, other_example = make_example(*items), make_example(item("e", "hail"), key="2")

    first, second = source(CountingRetriever()).choose_evidence(
        TASK, [example, other_example], retriever="x", limits=limits(2)
    )

    assert [first.ids, second.ids] == [("d", "b"), ("e",)]
    assert first.items[0] == example.profile[3] and first.cut == 0


def test_an_empty_profile_gives_empty_evidence() -> None:
    (evidence,) = source(CountingRetriever()).choose_evidence(
        TASK, [make_example()], retriever="x", limits=limits(2, 9)
    )

    assert evidence.ids == ()


def test_a_profile_is_ranked_once_until_it_or_the_input_changes() -> None:
    retriever = CountingRetriever()
    evidence = source(retriever)
    example = make_example(item("a", "fog"), item("b", "rain"), item("c", "ice"))

    for k in (1, 2, 2):
        evidence.choose_evidence(TASK, [example], retriever="x", limits=limits(k))
    assert retriever.keys == ["3/LaMP-4/1"]

    shorter = replace(example, profile=example.profile[:2])
    other_input = make_example(*example.profile, text="ice")
    evidence.choose_evidence(TASK, [shorter, other_input], retriever="x", limits=limits(1))
    assert len(retriever.keys) == 3


def test_an_evidence_budget_drops_items_but_never_the_best() -> None:
    long, short = item("a", "rain " * 9), item("b", "rain")
    example = make_example(long, short, item("c", "fog"), item("d", "ice"), item("f", "hail"), text="rain")

    results = {}
    for budget in (None, 16, 12, 1):
        evidence_limits = limits(4, max_evidence_tokens=budget)
        (evidence,) = source(CountingRetriever()).choose_evidence(
            TASK, [example], retriever="x", limits=evidence_limits
        )
        results[budget] = (evidence.ids, evidence.cut)

    all_ids, _ = results[None]
    assert len(TASK.show(long).split()) == 11 and len(TASK.show(short).split()) == 3
    assert [len(ids) for ids, _ in results.values()] == [4, 2, 1, 1]
    assert all(cut == 0 and ids == all_ids[: len(ids)] for ids, cut in results.values())


def test_long_items_get_equal_shares_and_what_short_ones_leave() -> None:
    long = " ".join(f"w{number}" for number in range(200))
    items = [item("a", "one two"), item("b", long), item("c", long)]

    evidence = fit_evidence(TASK, make_example(*items), items, 120, Words())

    lengths = [len(fitted.fields["text"].split()) for fitted in evidence.items]
    assert lengths[0] == 2 and lengths[1] > lengths[2] > 20
    assert evidence.cut == 402 - sum(lengths)
    assert long.startswith(evidence.items[1].fields["text"]) and evidence.items[1].fields["title"] == "t"


def test_the_best_items_stay_where_official_code_drops_all() -> None:
    title = "a long title of many words " * 3
    items = [item(str(number), "some words here", title=title) for number in range(8)]

    evidence = fit_evidence(TASK, make_example(*items), items, 100, Words())

    assert 0 < len(evidence.items) < 8
    assert evidence.ids == tuple(str(number) for number in range(len(evidence.items)))
    assert evidence.cut >= 3 * (8 - len(evidence.items))


def test_a_tiny_budget_leaves_no_item_and_counts_all_as_cut() -> None:
    items = [item("a", "some words here")]
    empty_evidence = fit_evidence(TASK, make_example(), [], 3, Words())

    evidence = fit_evidence(TASK, make_example(*items), items, 3, Words())

    assert evidence == replace(empty_evidence, cut=3)


@given(lengths=st.lists(st.integers(0, 60), max_size=5), budget=st.integers(1, 150), input_length=st.integers(0, 80))
def test_a_prompt_fits_its_budget_unless_the_input_breaks_it(
    lengths: list[int], budget: int, input_length: int
) -> None:
    items = [item(str(number), " ".join(["w"] * length)) for number, length in enumerate(lengths)]
    tokenizer, example = Words(), make_example(*items, text=" ".join(["q"] * input_length))

    evidence = fit_evidence(TASK, example, items, budget, tokenizer)

    prompt_tokens = tokenizer.encode(TASK.prompt(example, evidence.items)[0].content)
    assert len(prompt_tokens) <= max(budget, len(tokenizer.encode(example.input)) + budget)
    assert evidence.cut == sum(lengths) - sum(len(fitted.fields["text"].split()) for fitted in evidence.items)


@pytest.mark.parametrize("name", ["LaMP-1", "LaMP-2", "LaMP-2N", "LaMP-3", "LaMP-5", "LaMP-6", "LaMP-7"])
def test_every_task_shows_and_cuts_its_items(name: str) -> None:
    task = get_task(name)
    profile_item = ProfileItem("a", {field: f"{field} of words" for field in task.fields})
    example = Example("1", "u", f'{task.instruction}title "x" "y" "z" N', (profile_item,))

    evidence = fit_evidence(task, example, [profile_item], 200, Words())

    assert evidence.items == (profile_item,) and task.cut_field in task.show(profile_item)
    if task.answer_field:
        assert f"{task.answer_field} of words" in task.show(profile_item)


def test_a_text_that_is_encoded_again_is_as_it_was() -> None:
    tokenizer = reference_tokenizer()

    tokens = tokenizer.encode("sun and rain")
    tokens.append(0)

    assert tokenizer.decode(tokenizer.encode("sun and rain")) == "sun and rain"
