"""What each task makes of a model's text, and how one answer scores."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpobench import get_task, score
from rpobench.registry import list_names
from rpobench.types import Example, RpobenchError

PARSED = [
    ("LaMP-1", "[2]", "[2]"),
    ("LaMP-1", "The answer is [1], not [2].", "[1]"),
    ("LaMP-1", "2.", "[2]"),
    ("LaMP-1", "none", ""),
    ("LaMP-2", "dark comedy", "dark comedy"),
    ("LaMP-2", "It is a Dark Comedy.", "dark comedy"),
    ("LaMP-2", "comedy, or fantasy", "comedy"),
    ("LaMP-2", "comedyesque", ""),
    ("LaMP-2", "class\u0131c", "classic"),
    ("LaMP-3", " 4\n", "4"),
    ("LaMP-3", "I give it 3 out of 5", "3"),
    ("LaMP-3", "10", ""),
    ("LaMP-3", "4.5", ""),
    ("LaMP-3", "nan", ""),
    ("LaMP-3", "4.0 out of 5", "4"),
    ("LaMP-3", "2/5 stars", "2"),
    ("LaMP-3", "I'd say 3.5/5", ""),
    ("LaMP-3", "4.05", ""),
    ("LaMP-3", "On a scale of 1 to 5, I would rate this review a 4.", "4"),
    ("LaMP-3", "Ratings go from 1-5; mine is 2", "2"),
    ("LaMP-3", "<think>\nfrom 1 to 5, so 2?\n</think>\n\n4", "4"),
    ("LaMP-3", "<think>\nperhaps 2", ""),
    ("LaMP-2", "a comedy?</think> classic", "classic"),
    ("LaMP-4", "<think>\nThe user wants", ""),
    ("LaMP-4", "<think>\n\n</think>\n\nRain stops play", "Rain stops play"),
    ("LaMP-4", 'Headline: "Rain stops play"', "Rain stops play"),
    ("LaMP-6", "\n\n**Subject: Lunch**\nDear all", "Lunch"),
    ("LaMP-7", "“so tired”\n\nmore", "so tired"),
    ("LaMP-7", "???", ""),
]


@pytest.mark.parametrize(("task", "raw", "answer"), PARSED)
def test_answers_are_read_from_texts(task: str, raw: str, answer: str) -> None:
    assert get_task(task).parse(raw) == answer


@pytest.mark.parametrize("task", list_names("tasks"))
@given(raw=st.text())
def test_parse_never_fails_and_is_stable(task: str, raw: str) -> None:
    labels = get_task(task).labels

    answer = get_task(task).parse(raw)

    assert not labels or answer in (*labels, "")


@pytest.mark.parametrize(
    ("task", "text", "target", "value"),
    [
        ("LaMP-2", "comedy", "comedy", 1.0),
        ("LaMP-2", "comedy", "classic", 0.0),
        ("LaMP-3", "4", "5", 0.75),
        ("LaMP-3", "-9", "5", 0.0),
        ("LaMP-3", "nothing", "5", 0.0),
        ("LaMP-7", "a b", "a b", 1.0),
        ("LaMP-7", "b a", "a b", 0.75),
        ("LaMP-7", "", "a b", 0.0),
    ],
)
def test_score_of_one_answer(task: str, text: str, target: str, value: float) -> None:
    assert get_task(task).score(text, target) == pytest.approx(value)


@given(text=st.text(), target=st.sampled_from(["1", "5"]))
def test_scores_stay_between_0_and_1(text: str, target: str) -> None:
    assert 0 <= get_task("LaMP-3").score(text, target) <= 1


@pytest.mark.parametrize("name", list_names("tasks"))
def test_a_content_free_twin_keeps_the_instruction_alone(name: str) -> None:
    task = get_task(name)
    content = 'title "alpha beta" [1]: "gamma" [2]: "delta"' if name == "LaMP-1" else "alpha beta"
    example = Example("1", "u", task.instruction + content)

    twin = task.neutral(example)

    assert twin.input.startswith(task.instruction) and "N/A" in twin.input
    assert not {"alpha", "gamma", "delta"} & set(twin.input.replace('"', " ").split())


def test_scoring_checks_ids_tasks_and_golds() -> None:
    golds = [{"id": "1", "output": "5"}, {"id": "2", "output": "3"}]

    assert score("LaMP-3", golds, golds[::-1]) == {"MAE": 0.0, "RMSE": 0.0}
    with pytest.raises(RpobenchError, match="preds: lacks id '2'"):
        score("LaMP-3", golds, golds[:1])
    with pytest.raises(RpobenchError, match="golds: lacks id '2'"):
        score("LaMP-3", golds[:1], golds)
    with pytest.raises(RpobenchError, match="preds: is for task 'LaMP_1'"):
        score("LaMP-3", golds, {"task": "LaMP_1", "golds": golds})
    with pytest.raises(RpobenchError, match="no answer of LaMP-3"):
        score("LaMP-3", [{"id": "1", "output": "great"}], golds[:1])
    with pytest.raises(RpobenchError, match="nothing to score"):
        score("LaMP-3", [], [])


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_prediction_text_scores(texts: list[str]) -> None:
    for task, gold in (("LaMP-1", "[1]"), ("LaMP-3", "3"), ("LaMP-7", "a b")):
        golds = [{"id": str(number), "output": gold} for number in range(len(texts))]
        preds = [{"id": str(number), "output": text} for number, text in enumerate(texts)]

        metrics = score(task, golds, preds)

        assert not any(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("task", "needless"), [("LaMP-7", "torch transformers datasets"), ("LaMP-3", "torch nltk sklearn scipy pandas")]
)
def test_scoring_imports_only_what_a_task_needs(task: str, needless: str) -> None:
    code = f"import rpobench, sys; golds = [{{'id': '1', 'output': '5'}}]; rpobench.score('{task}', golds, golds);"
    code += f"sys.exit(' '.join(set('{needless}'.split()) & set(sys.modules)))"

    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert process.stderr == "\n", process.stderr
