"""What a run showed of its profiles: counts, cuts, and the share to the point on the synthetic world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpobench
from rpobench.data.synth.world import generate, generate_stories
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.scoring.result import describe_evidence
from rpobench.store.files import read_json
from rpobench.types import Prediction


def test_items_cuts_and_topics_are_counted_over_what_was_shown() -> None:
    predictions = [
        Prediction("1", "", "", evidence=("a", "b", "c"), cut=4),
        Prediction("2", "", "", evidence=("d",), cut=2),
        Prediction("3", "", ""),
    ]
    topics = {"1": "tea", "a": "tea", "b": "soup", "c": "tea", "2": "soup", "d": "soup"}

    assert describe_evidence(predictions, topics) == {"items": 4 / 3, "cut": 2.0, "on_topic": 3 / 4}
    assert describe_evidence(predictions, {"1": "tea"}) == {"items": 4 / 3, "cut": 2.0, "on_topic": None}
    assert describe_evidence(predictions[2:], topics) is None


@pytest.mark.parametrize("task", ["LaMP-1", "LaMP-3", "LaMP-7"])
def test_the_world_knows_what_every_example_and_item_is_about(task: str) -> None:
    data = generate(task, "dev", 5)
    stories = generate_stories(task, "dev", 5)

    for labelled, story in zip(data.labelled, stories, strict=True):
        example = labelled.example
        assert data.topics[example.id] == story.question.topic
        written_pieces = sorted((piece.date, piece.topic) for piece in story.past)
        assert sorted((item.date, data.topics[item.id]) for item in example.profile if item.date) == written_pieces


def run_and_read_evidence(folder: Path, method: str, **options: Any) -> Any:
    (summary,) = rpobench.run(method, "LaMP-3", limit=12, out=folder, swap=False, **options)
    return read_json(folder / summary["run"] / "result.json")["evidence"]


def test_a_result_says_what_its_run_showed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: ScriptedModel(echo))

    by_chance = run_and_read_evidence(tmp_path, "rag-random", settings={"k": 2})
    by_bm25 = run_and_read_evidence(tmp_path, "rag-bm25", settings={"k": 2})
    without = run_and_read_evidence(tmp_path, "zero-shot")
    swapped = run_and_read_evidence(tmp_path, "rag-bm25", profiles="swapped")

    assert by_chance["items"] == by_bm25["items"] == 2
    assert 0 < by_chance["on_topic"] < by_bm25["on_topic"] <= 1
    assert without is None
    assert swapped["on_topic"] < by_bm25["on_topic"]
