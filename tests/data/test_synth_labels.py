"""The label tasks of the synthetic world: their mechanisms, and what profiles tell without knowing the generator."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from rpobench.data.dataset import DataSet
from rpobench.data.synth import Knobs, generate, generate_stories, make_mechanism
from rpobench.registry import get_task
from rpobench.types import Example

LABEL_TASKS = ("LaMP-1", "LaMP-2", "LaMP-3")


def references(example: Example) -> tuple[str, str]:
    titles = re.findall(r'\[[12]\]: "(.*?)"', example.input)
    assert len(titles) == 2
    return titles[0], titles[1]


def text_of(fields: dict[str, str]) -> str:
    return " ".join(text for name, text in fields.items() if name not in ("tag", "score"))


def vectorizer(data: DataSet) -> TfidfVectorizer:
    """The words of other users' items, the rare ones weighing more."""
    vectors = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    return vectors.fit(text_of(dict(item.fields)) for labelled in data.labelled for item in labelled.example.profile)


def read_citations(train: DataSet, dev: DataSet) -> Iterator[str]:
    """The reference that resembles the author's papers more."""
    vectors = vectorizer(train)
    for labelled in dev.labelled:
        papers = vectors.transform([text_of(dict(item.fields)) for item in labelled.example.profile])
        likeness = (papers @ vectors.transform(references(labelled.example)).T).toarray().sum(axis=0)
        yield "[1]" if likeness[0] > likeness[1] else "[2]"


def read_tags(train: DataSet, dev: DataSet) -> Iterator[str]:
    """The tag of the most similar films the viewer tagged."""
    task = get_task("LaMP-2")
    for labelled in dev.labelled:
        vectors = TfidfVectorizer(sublinear_tf=True, stop_words="english")
        films = vectors.fit_transform([item.fields["description"] for item in labelled.example.profile])
        likeness = (films @ vectors.transform([task.content(labelled.example)]).T).toarray().ravel()
        votes: dict[str, float] = defaultdict(float)
        for item, like in zip(labelled.example.profile, likeness, strict=True):
            votes[item.fields["tag"]] += like**2
        yield max(votes, key=lambda tag: votes[tag])


def read_ratings(train: DataSet, dev: DataSet) -> Iterator[str]:
    """What the words are worth to everybody, corrected by what they are worth to this reviewer."""
    vectors, task = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=5), get_task("LaMP-3")
    items = [item for labelled in train.labelled for item in labelled.example.profile]
    worth = Ridge(1.0).fit(
        vectors.fit_transform(item.fields["text"] for item in items), [float(item.fields["score"]) for item in items]
    )

    for labelled in dev.labelled:
        reviews = vectors.transform([item.fields["text"] for item in labelled.example.profile])
        scores = np.array([float(item.fields["score"]) for item in labelled.example.profile])
        correction = Ridge(0.3).fit(reviews, scores - worth.predict(reviews))
        question = vectors.transform([task.content(labelled.example)])
        yield str(int(np.clip(round(worth.predict(question)[0] + correction.predict(question)[0]), 1, 5)))


READERS = {"LaMP-1": read_citations, "LaMP-2": read_tags, "LaMP-3": read_ratings}


def table(task: str, n: int) -> dict[str, float]:
    """The main metric of the best generic answer, the oracle and a reader of profiles."""
    scored_task, train, dev = get_task(task), generate(task, "train", 500), generate(task, "dev", n)
    targets = [labelled.target for labelled in dev.labelled]
    answers = {
        name: [answer[labelled.example.id] for labelled in dev.labelled]
        for name, answer in sorted(dev.references.items())
    }
    answers["profile reader"] = list(READERS[task](train, dev))

    return {
        name: scored_task.aggregate(predictions, targets)[scored_task.main_metric]
        for name, predictions in answers.items()
    }


def closed(task: str, n: int) -> float:
    """The share of the gap from best generic to oracle that the reader of profiles closes."""
    row = table(task, n)
    return (row["profile reader"] - row["best_generic"]) / (row["oracle"] - row["best_generic"])


@pytest.mark.parametrize("task", LABEL_TASKS)
def test_a_profile_reader_closes_half_the_gap_in_a_sample(task: str) -> None:
    assert 0.5 <= closed(task, 300) <= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("task", LABEL_TASKS)
def test_a_reader_of_profiles_closes_half_of_the_gap(task: str) -> None:
    assert 0.5 <= closed(task, 2000) <= 0.9


@pytest.mark.parametrize("task", LABEL_TASKS)
def test_examples_have_the_official_form(task: str) -> None:
    official_task = get_task(task)
    for labelled in generate(task, "dev", 50).labelled:
        assert labelled.example.input.startswith(official_task.instruction)
        assert labelled.target in official_task.labels
        assert set(labelled.example.profile[0].fields) == set(official_task.fields)


def test_the_citation_question_is_silent_about_the_line() -> None:
    """Only the profile tells the references apart: same subject, either place, no word of theirs in the title."""
    data = generate("LaMP-1", "dev", 1000)
    for labelled in data.labelled:
        title = set(re.search(r'title "(.*?)"', labelled.example.input)[1].lower().split())
        first, second = (set(re.findall(r"[a-z-]+", text.lower())) for text in references(labelled.example))
        assert len(first & second) >= 2, "the subject: docking of drones, at the shortest"
        assert not title & (first ^ second) - {"on", "for", "in", "over", "with", "a", "of", "toward"}

    assert 450 <= Counter(labelled.target for labelled in data.labelled)["[1]"] <= 550


def test_some_papers_show_no_line() -> None:
    past = [piece for story in generate_stories("LaMP-1", "dev", 100) for piece in story.past]
    mechanism = make_mechanism("LaMP-1")
    plain = sum(mechanism.write_item(piece.slots, piece.answer)["title"] == piece.slots["title"] for piece in past)
    assert 0.05 <= plain / len(past) <= 0.15


def test_every_tag_is_somebodys_and_each_film_has_two() -> None:
    data = generate("LaMP-2", "dev", 1000, knobs=Knobs(noise=0))
    assert set(data.references["oracle"].values()) == set(get_task("LaMP-2").labels)

    mechanism = make_mechanism("LaMP-2")
    for story in generate_stories("LaMP-2", "dev", 50):
        pair = mechanism.traits[story.question.slots["question"]]
        others = {trait: values[0] for trait, values in mechanism.traits.items()}
        assert {
            mechanism.write_answer(story.question.slots, {**others, story.question.slots["question"]: tag})
            for tag in pair
        } == set(pair)


@pytest.mark.parametrize(
    ("price", "comfort", "weighs", "harshness", "stars"),
    [
        ("+", "-", "price", "even", "4"),
        ("+", "-", "comfort", "even", "2"),
        ("+", "+", "price", "strict", "3"),
        ("-", "+", "price", "lenient", "3"),
        ("-", "-", "comfort", "savage", "1"),
        ("+", "+", "comfort", "gushing", "5"),
    ],
)
def test_stars_follow_what_is_weighed_and_how_harshly(
    price: str, comfort: str, weighs: str, harshness: str, stars: str
) -> None:
    slots = {"question": "price or comfort", "price": price, "comfort": comfort}
    assert make_mechanism("LaMP-3").write_answer(slots, {"price or comfort": weighs, "harshness": harshness}) == stars


def test_no_constant_beats_the_generic_rating() -> None:
    task, data = get_task("LaMP-3"), generate("LaMP-3", "dev", 1000, knobs=Knobs(profile_items=(1, 1)))
    targets = [labelled.target for labelled in data.labelled]
    generic = [data.references["best_generic"][labelled.example.id] for labelled in data.labelled]
    best = min(task.aggregate([score] * 1000, targets)["MAE"] for score in task.labels)

    assert task.aggregate(generic, targets)["MAE"] <= best
    assert set(targets) == set(task.labels)
