"""The text tasks of the synthetic world: every trait counts, content varies, relevant and recent items tell more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from rank_bm25 import BM25Okapi
from rouge_score.rouge_scorer import RougeScorer

from rpobench.data.synth import Piece, Story, generate, generate_stories, make_mechanism
from rpobench.data.synth.mechanism import Mechanism, Traits
from rpobench.data.synth.names import Names
from rpobench.data.synth.wording import a_or_an, capital, phrase, spell

INSTRUCTIONS = {
    "LaMP-4": "Generate a headline for the following article: ",
    "LaMP-5": "Generate a title for the following abstract of a paper: ",
    "LaMP-6": "Generate a subject for the following email: ",
    "LaMP-7": "Paraphrase the following tweet without any explanation before or after it: ",
}
FIELDS = {
    "LaMP-4": {"title", "text"},
    "LaMP-5": {"title", "abstract"},
    "LaMP-6": {"title", "text"},
    "LaMP-7": {"text"},
}
TASKS = tuple(INSTRUCTIONS)
TRAITS = [(task, trait) for task in TASKS for trait in make_mechanism(task).traits]
SCORER = RougeScorer(["rouge1", "rougeL"])


def rouge(target: str, answer: str) -> float:
    """Mean of ROUGE-1 and ROUGE-L."""
    return mean(float(score.fmeasure) for score in SCORER.score(target, answer).values())


@cache
def make_stories(task: str) -> tuple[Story, ...]:
    return tuple(generate_stories(task, "dev", 300))


def oracle(mechanism: Mechanism, piece: Piece) -> str:
    return mechanism.write_answer(piece.slots, piece.traits)


def words(text: str) -> Counter[str | tuple[str, str]]:
    """Words and word pairs as ROUGE sees them."""
    tokens = re.findall("[a-z0-9]+", text.lower())
    return Counter[str | tuple[str, str]](tokens) + Counter(pairwise(tokens))


def read_traits(mechanism: Mechanism, piece: Piece) -> dict[str, str]:
    """The traits that explain an answer best, found one after the other in two rounds."""
    answer_words = words(piece.answer)
    traits = {trait: values[0] for trait, values in mechanism.traits.items()}

    def distance(trait: str, value: str) -> int:
        candidate_words = words(mechanism.write_answer(piece.slots, {**traits, trait: value}))
        return sum(((candidate_words - answer_words) + (answer_words - candidate_words)).values())

    for _ in range(2):
        for trait, values in mechanism.traits.items():
            traits[trait] = min(values, key=lambda value: distance(trait, value))

    return traits


def predict(mechanism: Mechanism, pieces: Sequence[Piece], question: Piece) -> str:
    """Reads the traits of the shown items, lets them vote, and writes."""
    traits_of_pieces = [read_traits(mechanism, piece) for piece in pieces]
    majority = {
        trait: Counter(traits[trait] for traits in traits_of_pieces).most_common(1)[0][0] for trait in mechanism.traits
    }
    return mechanism.write_answer(question.slots, majority)


def most_similar(mechanism: Mechanism, story: Story) -> list[Piece]:
    """The past pieces, the one most like the input first (BM25)."""
    texts = [" ".join(mechanism.write_item(piece.slots, piece.answer).values()).lower().split() for piece in story.past]
    query = mechanism.write_input(story.question.slots).removeprefix(INSTRUCTIONS[mechanism.task]).lower().split()
    scores = BM25Okapi(texts).get_scores(query)
    return [story.past[position] for position in sorted(range(len(texts)), key=lambda position: -scores[position])]


@pytest.mark.parametrize(("task", "trait"), TRAITS)
def test_a_wrong_trait_costs_the_oracle_rouge(task: str, trait: str) -> None:
    mechanism = make_mechanism(task)
    values = mechanism.traits[trait]
    drops = []

    for story in make_stories(task):
        true = story.question.traits
        other = values[(values.index(true[trait]) + 1) % len(values)]
        wrong = mechanism.write_answer(story.question.slots, {**true, trait: other})
        target = story.question.answer
        drops.append(rouge(target, oracle(mechanism, story.question)) - rouge(target, wrong))

    assert mean(drops) > 0.03


@pytest.mark.parametrize("task", TASKS)
def test_every_trait_value_writes_something_else(task: str) -> None:
    mechanism = make_mechanism(task)
    piece = make_stories(task)[0].question

    for trait, values in mechanism.traits.items():
        others = {name: choices[0] for name, choices in mechanism.traits.items()}
        assert len(
            {str(words(mechanism.write_answer(piece.slots, {**others, trait: value}))) for value in values}
        ) == len(values)


@pytest.mark.parametrize("task", TASKS)
def test_the_oracle_is_far_above_the_best_generic_answer(task: str) -> None:
    mechanism = make_mechanism(task)
    generic = mean(
        rouge(story.question.answer, mechanism.write_generic_answer(story.question.slots))
        for story in make_stories(task)
    )
    best = mean(rouge(story.question.answer, oracle(mechanism, story.question)) for story in make_stories(task))

    assert 0.4 < generic < 0.65
    assert best > 0.92


@pytest.mark.parametrize("task", TASKS)
def test_items_on_the_topic_tell_more_than_random_ones(task: str) -> None:
    mechanism = make_mechanism(task)
    relevant, random = [], []

    for story in make_stories(task)[:200]:
        on_topic = [piece for piece in story.past if piece.topic == story.question.topic]
        rng = Random(story.user_id)
        size = min(3, len(on_topic))
        relevant.append(rouge(story.question.answer, predict(mechanism, rng.sample(on_topic, size), story.question)))
        random.append(rouge(story.question.answer, predict(mechanism, rng.sample(story.past, size), story.question)))

    assert mean(relevant) > mean(random) + 0.02


@pytest.mark.parametrize("task", TASKS)
def test_recent_items_tell_more_than_old_ones(task: str) -> None:
    mechanism = make_mechanism(task)
    recent = mean(
        rouge(story.question.answer, predict(mechanism, story.past[-3:], story.question))
        for story in make_stories(task)[:200]
    )
    old = mean(
        rouge(story.question.answer, predict(mechanism, story.past[:3], story.question))
        for story in make_stories(task)[:200]
    )

    assert recent > old + 0.02


@pytest.mark.parametrize("task", TASKS)
def test_bm25_finds_items_on_the_topic(task: str) -> None:
    mechanism = make_mechanism(task)
    best_three, any_item = [], []

    for story in make_stories(task):
        best_three += [piece.topic == story.question.topic for piece in most_similar(mechanism, story)[:3]]
        any_item += [piece.topic == story.question.topic for piece in story.past]
    assert mean(best_three) > mean(any_item) + 0.1


@pytest.mark.parametrize("task", TASKS)
def test_copying_the_nearest_item_goes_most_of_the_way(task: str) -> None:
    """What a rewriter gains by copying habits flawlessly; the rest is for who sees which of them are of today."""
    mechanism = make_mechanism(task)
    generic = mean(
        rouge(story.question.answer, mechanism.write_generic_answer(story.question.slots))
        for story in make_stories(task)
    )
    best = mean(rouge(story.question.answer, oracle(mechanism, story.question)) for story in make_stories(task))
    copied = mean(
        rouge(
            story.question.answer,
            mechanism.write_answer(story.question.slots, most_similar(mechanism, story)[0].traits),
        )
        for story in make_stories(task)
    )

    assert 2 / 3 < (copied - generic) / (best - generic) < 5 / 6


@pytest.mark.parametrize("task", TASKS)
def test_inputs_are_distinct_and_their_patterns_many(task: str) -> None:
    mechanism, rng, names = make_mechanism(task), Random(1), Names("test")
    inputs, patterns = set(), set()

    for _ in range(10_000):
        slots = mechanism.draw_content(rng, rng.choice(mechanism.topics), names, {})
        text = mechanism.write_input(slots).removeprefix(INSTRUCTIONS[task])
        inputs.add(text)
        if len(inputs) > 2_000:
            continue
        for name, words_of_slot in slots.items():
            if name not in ("lead", "brief", "facts", "plain") and not words_of_slot.endswith("."):
                text = re.sub(rf"\b{re.escape(words_of_slot)}\b", f"<{name}>", text, flags=re.IGNORECASE)
        patterns.add(text)

    assert len(inputs) >= 9_900
    assert len(patterns) >= 200


@pytest.mark.parametrize("task", TASKS)
def test_texts_have_the_official_form_and_stay_short(task: str) -> None:
    mechanism = make_mechanism(task)
    data = generate(task, "dev", 200)
    inputs = [labelled.example.input for labelled in data.labelled]
    items = [item for labelled in data.labelled for item in labelled.example.profile]

    assert all(text.startswith(INSTRUCTIONS[task]) for text in inputs)
    assert max(len(text.removeprefix(INSTRUCTIONS[task]).split()) for text in inputs) <= 50
    assert {frozenset(item.fields) for item in items} == {frozenset(FIELDS[task])}
    assert mean(len(" ".join(item.fields.values()).split()) for item in items) <= 28
    assert all(5 <= len(labelled.target.split()) <= 24 for labelled in data.labelled)
    assert not any(
        re.search(r"[{}\[\]|]|  | [,.;]", text) for text in inputs + [labelled.target for labelled in data.labelled]
    )
    assert len(mechanism.topics) == len(set(mechanism.topics)) >= 10


@pytest.mark.parametrize("task", TASKS)
def test_what_a_habit_adds_is_in_the_input(task: str) -> None:
    """Numbers and names of every possible answer can be copied, so a rewriter has nothing to invent."""
    mechanism = make_mechanism(task)
    for story in make_stories(task)[:50]:
        source = set(re.findall(r"\d+|\b[A-Z][a-z]+", mechanism.write_input(story.question.slots)))
        for trait, values in mechanism.traits.items():
            for value in values:
                answer = mechanism.write_answer(story.question.slots, {**story.question.traits, trait: value})
                facts = set(re.findall(r"\b\d+\b|(?<=[a-z] )[A-Z][a-z]+", answer))
                assert facts <= source


@pytest.mark.parametrize("task", TASKS)
def test_texts_are_the_same_for_the_same_stream(task: str) -> None:
    mechanism = make_mechanism(task)
    traits: Traits = {trait: values[-1] for trait, values in mechanism.traits.items()}
    slots = [mechanism.draw_content(Random("one"), mechanism.topics[0], Names("dev"), traits) for _ in range(2)]

    assert slots[0] == slots[1]

    before = dict(slots[0])
    assert mechanism.write_answer(slots[0], traits) == mechanism.write_answer(slots[1], traits)
    assert mechanism.write_generic_answer(slots[0]) == mechanism.write_generic_answer(slots[1])
    assert dict(slots[0]) == before


def test_a_pattern_offers_each_of_its_alternatives() -> None:
    rng = Random(0)
    read = {spell(rng, "[a [red|blue]|the|] {thing}[, maybe|]", {"thing": "kite"}) for _ in range(200)}
    starts = {"a red kite", "a blue kite", "the kite", "kite"}
    assert read == starts | {f"{start}, maybe" for start in starts}


def test_small_wording() -> None:
    assert capital("iPod and Co") == "IPod and Co"
    assert phrase("why", "", "Halvex waits") == "Why Halvex waits"
    assert a_or_an("edge sampler") == "an edge sampler"
    assert a_or_an("lattice") == "a lattice"
