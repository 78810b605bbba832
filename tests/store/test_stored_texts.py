"""Drafts and other texts of the base model that are made once: who takes them later is charged the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.models.prices import Price, PricedModel
from rpobench.models.protocol import LanguageModel
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.result_store import ResultStore
from rpobench.types import Decoding, Usage

TASK = get_task("LaMP-7")
EXAMPLES = [one.example for one in generate("LaMP-7", "dev", 4).labelled]
CHATS = [TASK.prompt(one) for one in EXAMPLES]


def taken(folder: Path, model: LanguageModel, kind: str) -> tuple[StoredDrafts, list[Usage]]:
    """The store after four texts were taken out of it, and their usage."""
    drafts = StoredDrafts(ResultStore(folder), model)
    if kind == "drafts":
        return drafts, [one.usage for one in drafts.drafts(TASK, EXAMPLES).values()]
    return drafts, [one.usage for one in drafts.generate_once("summary", CHATS, Decoding(8), model)]


@pytest.mark.parametrize("kind", ["drafts", "written"])
def test_who_finds_texts_is_charged_the_seconds_they_took(tmp_path: Path, kind: str) -> None:
    (first, _), (second, _) = (taken(tmp_path, ScriptedModel(echo, delay=0.05), kind) for _ in range(2))
    assert first.meter.making_seconds >= 0.2 and second.meter.making_seconds < 0.1
    assert first.meter.worth_seconds >= 0.2
    assert second.meter.worth_seconds == pytest.approx(first.meter.worth_seconds, abs=1e-4)


@pytest.mark.parametrize("kind", ["drafts", "written"])
def test_stored_texts_cost_what_their_tokens_cost_today(tmp_path: Path, kind: str) -> None:
    model = ScriptedModel(echo)
    _, made = taken(tmp_path, model, kind)
    assert [one.dollars for one in made] == [None] * 4
    for price in (Price(1000, 1000), Price(2000, 2000)):
        _, priced = taken(tmp_path, PricedModel(model, price), kind)
        tokens = [one.prompt_tokens + one.completion_tokens for one in made]
        assert [one.dollars for one in priced] == pytest.approx([count * price.prompt / 1e6 for count in tokens])
    assert [one.dollars for one in taken(tmp_path, model, kind)[1]] == [None] * 4, "no price, no dollars"
