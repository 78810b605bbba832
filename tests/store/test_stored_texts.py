"""Drafts and other texts of the base model that are made once: whoever takes them later is charged the same."""

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
EXAMPLES = [labelled.example for labelled in generate("LaMP-7", "dev", 4).labelled]
CHATS = [TASK.prompt(example) for example in EXAMPLES]
KINDS = ["drafts", "written"]


def take_texts(folder: Path, model: LanguageModel, kind: str) -> tuple[StoredDrafts, list[Usage]]:
    """Take four texts out of the store; return it and their usage."""
    drafts = StoredDrafts(ResultStore(folder), model)
    if kind == "drafts":
        return drafts, [draft.usage for draft in drafts.get_drafts(TASK, EXAMPLES).values()]

    completions = drafts.generate_once("summary", CHATS, Decoding(8), model)
    return drafts, [completion.usage for completion in completions]


def take_dollars(folder: Path, model: LanguageModel, kind: str) -> list[float | None]:
    """Take four texts out of the store; return what each is said to have cost."""
    _, usages = take_texts(folder, model, kind)
    return [usage.dollars for usage in usages]


@pytest.mark.parametrize("kind", KINDS)
def test_stored_texts_cost_the_seconds_they_took(tmp_path: Path, kind: str) -> None:
    first, _ = take_texts(tmp_path, ScriptedModel(echo, delay=0.05), kind)
    second, _ = take_texts(tmp_path, ScriptedModel(echo, delay=0.05), kind)

    assert first.meter.making_seconds >= 0.2
    assert second.meter.making_seconds < 0.1
    assert first.meter.worth_seconds >= 0.2
    assert second.meter.worth_seconds == pytest.approx(first.meter.worth_seconds, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_stored_texts_cost_what_their_tokens_cost_today(tmp_path: Path, kind: str) -> None:
    model = ScriptedModel(echo)

    _, usages = take_texts(tmp_path, model, kind)
    assert [usage.dollars for usage in usages] == [None] * 4

    tokens = [usage.prompt_tokens + usage.completion_tokens for usage in usages]
    for price in (Price(1000, 1000), Price(2000, 2000)):
        dollars = take_dollars(tmp_path, PricedModel(model, price), kind)
        assert dollars == pytest.approx([count * price.prompt / 1e6 for count in tokens])

    assert take_dollars(tmp_path, model, kind) == [None] * 4, "no price, no dollars"
