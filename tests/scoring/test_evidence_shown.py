"""What a run showed of its profiles: counts, cuts, and the share to the point on the synthetic world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpobench
from rpobench.data.synth.world import generate, generate_stories
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.scoring.result import evidence_shown
from rpobench.store.files import read_json
from rpobench.types import Prediction


def test_items_cuts_and_topics_are_counted_over_what_was_shown() -> None:
    made = [
        Prediction("1", "", "", evidence=("a", "b", "c"), cut=4),
        Prediction("2", "", "", evidence=("d",), cut=2),
        Prediction("3", "", ""),
    ]
    topics = {"1": "tea", "a": "tea", "b": "soup", "c": "tea", "2": "soup", "d": "soup"}
    assert evidence_shown(made, topics) == {"items": 4 / 3, "cut": 2.0, "on_topic": 3 / 4}
    assert evidence_shown(made, {"1": "tea"}) == {"items": 4 / 3, "cut": 2.0, "on_topic": None}
    assert evidence_shown(made[2:], topics) is None


@pytest.mark.parametrize("task", ["LaMP-1", "LaMP-3", "LaMP-7"])
def test_the_world_knows_what_every_example_and_item_is_about(task: str) -> None:
    data = generate(task, "dev", 5)
    for one, story in zip(data.labelled, generate_stories(task, "dev", 5), strict=True):
        assert data.topics[one.example.id] == story.question.topic
        wrote = sorted((piece.date, piece.topic) for piece in story.past)
        assert sorted((item.date, data.topics[item.id]) for item in one.example.profile if item.date) == wrote


def shown(folder: Path, method: str, **options: Any) -> Any:
    (made,) = rpobench.run(method, "LaMP-3", limit=12, out=folder, swap=False, **options)
    return read_json(folder / made["run"] / "result.json")["evidence"]


def test_a_result_says_what_its_run_showed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: ScriptedModel(echo))
    drawn, found = (shown(tmp_path, name, settings={"k": 2}) for name in ("rag-random", "rag-bm25"))
    assert drawn["items"] == found["items"] == 2 and 0 < drawn["on_topic"] < found["on_topic"] <= 1
    assert shown(tmp_path, "zero-shot") is None
    assert shown(tmp_path, "rag-bm25", profiles="swapped")["on_topic"] < found["on_topic"]
