"""What every declared method owes, whoever wrote it: a new method is tested by being declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from words import Hashes, Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.models import encoder
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import list_names
from rpobench.runs.drafts import StoredDrafts
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Example, Labelled, Prediction

TASKS = ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4", "LaMP-7")
# Held to the same duties on a tiny model in the tests of RPO and of per-user-lora.
MODEL_TRAINERS = {"rpo", "sft-rag", "sft-rag-analysis", "sft-generic", "per-user-lora"}


@pytest.fixture(autouse=True)
def no_weights(other_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder.Encoder, "_model", Hashes())


def reply(chat: Chat) -> str:
    """Another answer to every other prompt."""
    return "said " + sha256(chat[-1].content.encode()).hexdigest()[:12]


def liking(chat: Chat, text: str) -> float:
    """Another choice after every other prompt."""
    return float(int(sha256(f"{chat[-1].content}/{text}".encode()).hexdigest()[:8], 16))


class Bench:
    """One method in a folder of its own, with a model that records what it is asked."""

    def __init__(self, name: str, folder: Path) -> None:
        self.model = ScriptedModel(reply, scorer=liking)
        self.method_class = get_method(name)
        evidence = RankedEvidence(get_retriever, Words, seed=0)
        drafts = StoredDrafts(ResultStore(folder), self.model)
        self.fit_context = FitContext(self.model, drafts, evidence, 0, folder)
        self.predict_context = PredictContext(self.model, drafts, evidence, 0, folder / "users")

    def fitted(self, task_name: str, **config: Any) -> Method:
        method = self.method_class(self.method_class.Config(**config))
        if method.trains:
            method.fit({get_task(task_name): world(task_name, "train", 6)}, self.fit_context)
        return method

    def predict(self, method: Method, task_name: str, examples: Sequence[Example]) -> list[Prediction]:
        return list(method.predict(get_task(task_name), examples, self.predict_context))


def applies(name: str, task_name: str) -> bool:
    method_class = get_method(name)
    return method_class(method_class.Config()).applies_to(get_task(task_name))


METHODS = [name for name in list_names("methods") if name not in MODEL_TRAINERS]
CASES = [(name, task) for name in METHODS for task in TASKS if applies(name, task)]


def world(task_name: str, split: str, count: int) -> list[Labelled]:
    return list(generate(task_name, split, count).labelled)


def odd_examples(task_name: str) -> list[Example]:
    """An empty profile, one item, the usual, and 500 items."""
    empty, single, usual, huge = (one.example for one in world(task_name, "dev", 4))
    many = [
        replace(huge.profile[place % len(huge.profile)], id=f"i{place}", date=date(2020, 1, 1 + place % 28))
        for place in range(500)
    ]
    single = replace(single, profile=single.profile[:1])
    return [replace(empty, profile=()), single, usual, replace(huge, profile=tuple(many))]


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_every_example_gets_one_prediction_the_same_every_time(name: str, task_name: str, tmp_path: Path) -> None:
    asked, found = odd_examples(task_name), []
    for folder in ("a", "b"):
        bench = Bench(name, tmp_path / folder)
        found.append(bench.predict(bench.fitted(task_name), task_name, asked))
    assert [one.example_id for one in found[0]] == [one.id for one in asked]
    seen = [[(one.text, one.raw, one.evidence, one.draft) for one in predictions] for predictions in found]
    assert seen[0] == seen[1]
    assert all(
        set(made.evidence) <= {item.id for item in one.profile} for made, one in zip(found[0], asked, strict=True)
    )


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_a_saved_method_predicts_as_before(name: str, task_name: str, tmp_path: Path) -> None:
    bench, asked = Bench(name, tmp_path / "a"), odd_examples(task_name)[:3]
    method = bench.fitted(task_name)
    (tmp_path / "saved").mkdir()
    method.save(tmp_path / "saved")
    loaded = type(method).load(tmp_path / "saved", method.config)
    before, after = bench.predict(method, task_name, asked), bench.predict(loaded, task_name, asked)
    assert [one.text for one in before] == [one.text for one in after]


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_swapped_profiles_move_personalized_methods_and_nobody_else(name: str, task_name: str, tmp_path: Path) -> None:
    own = [one.example for one in world(task_name, "dev", 12)]
    bench = Bench(name, tmp_path)
    method = bench.fitted(task_name)
    answers = [
        [(one.text, one.raw) for one in bench.predict(method, task_name, examples)]
        for examples in (own, swap_profiles(own, seed=0))
    ]
    no_answers_in_items = name == "majority" and task_name == "LaMP-1"
    assert (answers[0] == answers[1]) is (no_answers_in_items or not method.reads_profile)


@pytest.mark.parametrize("name", [name for name, task_name in CASES if task_name == "LaMP-7"])
def test_no_prompt_and_no_prediction_holds_the_target(name: str, tmp_path: Path) -> None:
    bench, labelled = Bench(name, tmp_path), world("LaMP-7", "dev", 8)
    predictions = bench.predict(bench.fitted("LaMP-7"), "LaMP-7", [one.example for one in labelled])
    seen = {message.content for chat in bench.model.chats for message in chat} | {one.text for one in predictions}
    assert len(predictions) == 8 and not [one for one in labelled if any(one.target in text for text in seen)]


def test_the_prompts_of_any_two_retrieval_methods_differ(tmp_path: Path) -> None:
    asked, prompts = [one.example for one in world("LaMP-7", "dev", 6)], {}
    for name in (name for name in METHODS if name.startswith("rag-") or name == "full-profile"):
        bench = Bench(name, tmp_path / name)
        bench.predict(bench.fitted("LaMP-7"), "LaMP-7", asked)
        prompts[name] = tuple(bench.model.chats)
    assert len(prompts) >= 4 and len(set(prompts.values())) == len(prompts)
