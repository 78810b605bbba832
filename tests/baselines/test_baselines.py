"""The baselines on recorded calls: what each one shows the model, and what every method owes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from words import Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import PredictContext
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.result_store import ResultStore
from rpobench.types import Example, Prediction


def predict(
    method_name: str, task_name: str, examples: Sequence[Example], folder: Path, **config: Any
) -> tuple[list[Prediction], ScriptedModel]:
    model = ScriptedModel(lambda chat: chat[-1].content[-20:])
    method_class = get_method(method_name)

    store = ResultStore(folder)
    evidence = RankedEvidence(get_retriever, Words, seed=0)
    context = PredictContext(model, StoredDrafts(store, model), evidence, seed=0, users=folder / "users")

    method = method_class(method_class.Config(**config))
    return list(method.predict(get_task(task_name), examples, context)), model


def make_examples(task_name: str, count: int = 3) -> list[Example]:
    return [labelled.example for labelled in generate(task_name, "dev", count).labelled]


@pytest.mark.parametrize("task_name", ["LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4", "LaMP-7"])
@pytest.mark.parametrize("method_name", ["zero-shot", "rag-bm25"])
def test_every_example_gets_one_answer_twice_the_same(method_name: str, task_name: str, tmp_path: Path) -> None:
    examples = make_examples(task_name)
    examples[0] = Example(examples[0].id, examples[0].user_id, examples[0].input, ())
    examples[1] = Example(examples[1].id, examples[1].user_id, examples[1].input, examples[1].profile[:1])

    first, _ = predict(method_name, task_name, examples, tmp_path / "a")
    second, _ = predict(method_name, task_name, examples, tmp_path / "b")

    assert [prediction.example_id for prediction in first] == [example.id for example in examples]
    assert [prediction.text for prediction in first] == [prediction.text for prediction in second]


def test_zero_shot_shows_no_history(tmp_path: Path) -> None:
    examples = make_examples("LaMP-7")

    predictions, model = predict("zero-shot", "LaMP-7", examples, tmp_path)

    assert [chat[-1].content for chat in model.chats] == [example.input for example in examples]
    assert all(prediction.evidence == () and prediction.draft == prediction.text for prediction in predictions)


def test_rag_shows_the_official_prompt_with_the_best_items(tmp_path: Path) -> None:
    examples, task = make_examples("LaMP-7"), get_task("LaMP-7")

    predictions, model = predict("rag-bm25", "LaMP-7", examples, tmp_path, k=2)

    for example, prediction, chat in zip(examples, predictions, model.chats, strict=True):
        texts = [task.retrieval_text(item) for item in example.profile]
        ranking = get_retriever("bm25").rank(task.retrieval_query(example), texts)
        best_items = [example.profile[index] for index in ranking[:2]]
        assert prediction.evidence == tuple(item.id for item in best_items)
        assert chat[-1].content == task.prompt(example, best_items)[0].content


def test_evidence_beyond_the_budget_is_cut_and_counted(tmp_path: Path) -> None:
    examples = make_examples("LaMP-4")

    uncut, uncut_model = predict("rag-bm25", "LaMP-4", examples, tmp_path / "a", k=4)
    cut, cut_model = predict("rag-bm25", "LaMP-4", examples, tmp_path / "b", k=4, max_prompt_tokens=100)

    assert all(prediction.cut == 0 for prediction in uncut) and all(prediction.cut > 0 for prediction in cut)
    for prediction, uncut_chat, cut_chat in zip(cut, uncut_model.chats, cut_model.chats, strict=True):
        uncut_words, cut_words = (len(chat[-1].content.split()) for chat in (uncut_chat, cut_chat))
        assert uncut_words - cut_words == prediction.cut


def test_label_methods_are_calibrated_without_content(tmp_path: Path) -> None:
    model = ScriptedModel(lambda chat: "3")
    calls: list[Any] = []
    choose = model.choose

    def record_and_choose(chats: Any, options: Any, *, neutral: Any = None) -> Any:
        calls.append((options, neutral))
        return choose(chats, options, neutral=neutral)

    model.choose = record_and_choose  # type: ignore[method-assign]
    StoredDrafts(ResultStore(tmp_path), model).get_drafts(get_task("LaMP-3"), make_examples("LaMP-3", 2))

    ((options, neutral),) = calls
    assert tuple(options) == ("1", "2", "3", "4", "5")
    assert all(chat[-1].content.endswith("review: N/A") for chat in neutral)
