"""What every declared method owes, whoever wrote it: a new method is tested by being declared."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from odd_profiles import make_odd_examples
from words import Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import list_names
from rpobench.runs.drafts import StoredDrafts
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Example, Labelled, Prediction

TASKS = ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4", "LaMP-7")
# Held to the same duties on a tiny model in the tests of RPO and of per-user-lora.
MODEL_TRAINERS = {"rpo", "sft-rag", "sft-rag-analysis", "sft-generic", "per-user-lora"}


pytestmark = pytest.mark.usefixtures("hashed_encoder")


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

    def fit(self, task_name: str, **config: Any) -> Method:
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


def world_examples(task_name: str, count: int) -> list[Example]:
    return [labelled.example for labelled in world(task_name, "dev", count)]


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_equal_runs_give_equal_predictions(name: str, task_name: str, tmp_path: Path) -> None:
    examples = make_odd_examples(task_name)

    runs = []
    for folder in ("a", "b"):
        bench = Bench(name, tmp_path / folder)
        runs.append(bench.predict(bench.fit(task_name), task_name, examples))
    first_run, second_run = runs

    assert [prediction.example_id for prediction in first_run] == [example.id for example in examples]
    assert [contents(prediction) for prediction in first_run] == [contents(prediction) for prediction in second_run]
    for prediction, example in zip(first_run, examples, strict=True):
        assert set(prediction.evidence) <= {item.id for item in example.profile}


def contents(prediction: Prediction) -> tuple[object, ...]:
    return (prediction.text, prediction.raw, prediction.evidence, prediction.draft)


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_a_saved_method_predicts_as_before(name: str, task_name: str, tmp_path: Path) -> None:
    bench, examples = Bench(name, tmp_path / "a"), make_odd_examples(task_name)[:3]
    method = bench.fit(task_name)
    before = bench.predict(method, task_name, examples)

    (tmp_path / "saved").mkdir()
    method.save(tmp_path / "saved")
    loaded = type(method).load(tmp_path / "saved", method.config)
    after = bench.predict(loaded, task_name, examples)

    assert [prediction.text for prediction in before] == [prediction.text for prediction in after]


@pytest.mark.parametrize(("name", "task_name"), CASES)
def test_swapped_profiles_move_personalized_methods_alone(name: str, task_name: str, tmp_path: Path) -> None:
    examples = world_examples(task_name, 12)
    bench = Bench(name, tmp_path)
    method = bench.fit(task_name)

    answers = [(p.text, p.raw) for p in bench.predict(method, task_name, examples)]
    swapped_answers = [(p.text, p.raw) for p in bench.predict(method, task_name, swap_profiles(examples, seed=0))]

    no_answers_in_items = name == "majority" and task_name == "LaMP-1"
    assert (answers == swapped_answers) is (no_answers_in_items or not method.reads_profile)


@pytest.mark.parametrize("name", [name for name, task_name in CASES if task_name == "LaMP-7"])
def test_no_prompt_and_no_prediction_holds_the_target(name: str, tmp_path: Path) -> None:
    bench, labelled = Bench(name, tmp_path), world("LaMP-7", "dev", 8)

    predictions = bench.predict(bench.fit("LaMP-7"), "LaMP-7", [example.example for example in labelled])

    texts = {message.content for chat in bench.model.chats for message in chat}
    texts |= {prediction.text for prediction in predictions}
    leaked = [example for example in labelled if any(example.target in text for text in texts)]
    assert len(predictions) == 8 and not leaked


def test_the_prompts_of_any_two_retrieval_methods_differ(tmp_path: Path) -> None:
    examples = world_examples("LaMP-7", 6)

    prompts = {}
    for name in (name for name in METHODS if name.startswith("rag-") or name == "full-profile"):
        bench = Bench(name, tmp_path / name)
        bench.predict(bench.fit("LaMP-7"), "LaMP-7", examples)
        prompts[name] = tuple(bench.model.chats)

    assert len(prompts) >= 4 and len(set(prompts.values())) == len(prompts)
