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
def told(task: str) -> tuple[Story, ...]:
    return tuple(generate_stories(task, "dev", 300))


def oracle(made: Mechanism, piece: Piece) -> str:
    return made.write_answer(piece.slots, piece.traits)


def words(text: str) -> Counter[str | tuple[str, str]]:
    """Words and word pairs as ROUGE sees them."""
    found = re.findall("[a-z0-9]+", text.lower())
    return Counter[str | tuple[str, str]](found) + Counter(pairwise(found))


def read_traits(made: Mechanism, piece: Piece) -> dict[str, str]:
    """The traits that explain an answer best, found one after the other in two rounds."""
    shown = words(piece.answer)
    traits = {trait: values[0] for trait, values in made.traits.items()}

    def distance(trait: str, value: str) -> int:
        written = words(made.write_answer(piece.slots, {**traits, trait: value}))
        return sum(((written - shown) + (shown - written)).values())

    for _ in range(2):
        for trait, values in made.traits.items():
            traits[trait] = min(values, key=lambda value: distance(trait, value))
    return traits


def predict(made: Mechanism, shown: Sequence[Piece], asked: Piece) -> str:
    """Reads the traits of the shown items, lets them vote, and writes."""
    read = [read_traits(made, piece) for piece in shown]
    voted = {trait: Counter(one[trait] for one in read).most_common(1)[0][0] for trait in made.traits}
    return made.write_answer(asked.slots, voted)


def most_similar(made: Mechanism, story: Story) -> list[Piece]:
    """The past pieces, the one most like the input first (BM25)."""
    texts = [" ".join(made.write_item(p.slots, p.answer).values()).lower().split() for p in story.past]
    query = made.write_input(story.question.slots).removeprefix(INSTRUCTIONS[made.task]).lower().split()
    scores = BM25Okapi(texts).get_scores(query)
    return [story.past[place] for place in sorted(range(len(texts)), key=lambda place: -scores[place])]


@pytest.mark.parametrize(("task", "trait"), TRAITS)
def test_a_wrong_trait_costs_the_oracle_rouge(task: str, trait: str) -> None:
    made = make_mechanism(task)
    values = made.traits[trait]
    drops = []
    for story in told(task):
        true = story.question.traits
        other = values[(values.index(true[trait]) + 1) % len(values)]
        wrong = made.write_answer(story.question.slots, {**true, trait: other})
        target = story.question.answer
        drops.append(rouge(target, oracle(made, story.question)) - rouge(target, wrong))
    assert mean(drops) > 0.03


@pytest.mark.parametrize("task", TASKS)
def test_every_trait_value_writes_something_else(task: str) -> None:
    made = make_mechanism(task)
    piece = told(task)[0].question
    for trait, values in made.traits.items():
        others = {t: v[0] for t, v in made.traits.items()}
        assert len({str(words(made.write_answer(piece.slots, {**others, trait: value}))) for value in values}) == len(
            values
        )


@pytest.mark.parametrize("task", TASKS)
def test_the_oracle_is_far_above_the_best_generic_answer(task: str) -> None:
    made = make_mechanism(task)
    generic = mean(rouge(s.question.answer, made.write_generic_answer(s.question.slots)) for s in told(task))
    best = mean(rouge(s.question.answer, oracle(made, s.question)) for s in told(task))
    assert 0.4 < generic < 0.65
    assert best > 0.92


@pytest.mark.parametrize("task", TASKS)
def test_items_on_the_topic_tell_more_than_random_ones(task: str) -> None:
    made = make_mechanism(task)
    relevant, random = [], []
    for story in told(task)[:200]:
        on_topic = [piece for piece in story.past if piece.topic == story.question.topic]
        rng = Random(story.user_id)
        size = min(3, len(on_topic))
        relevant.append(rouge(story.question.answer, predict(made, rng.sample(on_topic, size), story.question)))
        random.append(rouge(story.question.answer, predict(made, rng.sample(story.past, size), story.question)))
    assert mean(relevant) > mean(random) + 0.02


@pytest.mark.parametrize("task", TASKS)
def test_recent_items_tell_more_than_old_ones(task: str) -> None:
    made = make_mechanism(task)
    recent = mean(rouge(s.question.answer, predict(made, s.past[-3:], s.question)) for s in told(task)[:200])
    old = mean(rouge(s.question.answer, predict(made, s.past[:3], s.question)) for s in told(task)[:200])
    assert recent > old + 0.02


@pytest.mark.parametrize("task", TASKS)
def test_bm25_finds_items_on_the_topic(task: str) -> None:
    made = make_mechanism(task)
    found, chance = [], []
    for story in told(task):
        found += [piece.topic == story.question.topic for piece in most_similar(made, story)[:3]]
        chance += [piece.topic == story.question.topic for piece in story.past]
    assert mean(found) > mean(chance) + 0.1


@pytest.mark.parametrize("task", TASKS)
def test_writing_like_the_most_similar_item_comes_two_thirds_to_five_sixths_of_the_way(task: str) -> None:
    """What a rewriter gains by copying habits flawlessly; the rest is for who sees which of them are of today."""
    made = make_mechanism(task)
    generic = mean(rouge(s.question.answer, made.write_generic_answer(s.question.slots)) for s in told(task))
    best = mean(rouge(s.question.answer, oracle(made, s.question)) for s in told(task))
    copied = mean(
        rouge(s.question.answer, made.write_answer(s.question.slots, most_similar(made, s)[0].traits))
        for s in told(task)
    )
    assert 2 / 3 < (copied - generic) / (best - generic) < 5 / 6


@pytest.mark.parametrize("task", TASKS)
def test_inputs_are_distinct_and_their_patterns_many(task: str) -> None:
    made, rng, names = make_mechanism(task), Random(1), Names("test")
    inputs, patterns = set(), set()
    for _ in range(10_000):
        slots = made.draw_content(rng, rng.choice(made.topics), names, {})
        text = made.write_input(slots).removeprefix(INSTRUCTIONS[task])
        inputs.add(text)
        if len(inputs) > 2_000:
            continue
        for name, said in slots.items():
            if name not in ("lead", "brief", "facts", "plain") and not said.endswith("."):
                text = re.sub(rf"\b{re.escape(said)}\b", f"<{name}>", text, flags=re.IGNORECASE)
        patterns.add(text)
    assert len(inputs) >= 9_900
    assert len(patterns) >= 200


@pytest.mark.parametrize("task", TASKS)
def test_texts_have_the_official_form_and_stay_short(task: str) -> None:
    made = make_mechanism(task)
    data = generate(task, "dev", 200)
    inputs = [one.example.input for one in data.labelled]
    items = [item for one in data.labelled for item in one.example.profile]
    assert all(text.startswith(INSTRUCTIONS[task]) for text in inputs)
    assert max(len(text.removeprefix(INSTRUCTIONS[task]).split()) for text in inputs) <= 50
    assert {frozenset(item.fields) for item in items} == {frozenset(FIELDS[task])}
    assert mean(len(" ".join(item.fields.values()).split()) for item in items) <= 28
    assert all(5 <= len(one.target.split()) <= 24 for one in data.labelled)
    assert not any(re.search(r"[{}\[\]|]|  | [,.;]", text) for text in inputs + [one.target for one in data.labelled])
    assert len(made.topics) == len(set(made.topics)) >= 10


@pytest.mark.parametrize("task", TASKS)
def test_what_a_habit_adds_is_in_the_input(task: str) -> None:
    """Numbers and names of every possible answer can be copied, so a rewriter has nothing to invent."""
    made = make_mechanism(task)
    for story in told(task)[:50]:
        source = set(re.findall(r"\d+|\b[A-Z][a-z]+", made.write_input(story.question.slots)))
        for trait, values in made.traits.items():
            for value in values:
                answer = made.write_answer(story.question.slots, {**story.question.traits, trait: value})
                facts = set(re.findall(r"\b\d+\b|(?<=[a-z] )[A-Z][a-z]+", answer))
                assert facts <= source


@pytest.mark.parametrize("task", TASKS)
def test_texts_are_the_same_for_the_same_stream(task: str) -> None:
    made = make_mechanism(task)
    traits: Traits = {trait: values[-1] for trait, values in made.traits.items()}
    slots = [made.draw_content(Random("one"), made.topics[0], Names("dev"), traits) for _ in range(2)]
    assert slots[0] == slots[1]
    before = dict(slots[0])
    assert made.write_answer(slots[0], traits) == made.write_answer(slots[1], traits)
    assert made.write_generic_answer(slots[0]) == made.write_generic_answer(slots[1])
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
