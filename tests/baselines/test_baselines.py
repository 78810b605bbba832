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


def examples(task_name: str, count: int = 3) -> list[Example]:
    return [one.example for one in generate(task_name, "dev", count).labelled]


@pytest.mark.parametrize("task_name", ["LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4", "LaMP-7"])
@pytest.mark.parametrize("method_name", ["zero-shot", "rag-bm25"])
def test_every_example_gets_one_answer_twice_the_same(method_name: str, task_name: str, tmp_path: Path) -> None:
    asked = examples(task_name)
    asked[0] = Example(asked[0].id, asked[0].user_id, asked[0].input, ())
    asked[1] = Example(asked[1].id, asked[1].user_id, asked[1].input, asked[1].profile[:1])
    first, _ = predict(method_name, task_name, asked, tmp_path / "a")
    second, _ = predict(method_name, task_name, asked, tmp_path / "b")
    assert [one.example_id for one in first] == [one.id for one in asked]
    assert [one.text for one in first] == [one.text for one in second]


def test_zero_shot_shows_no_history(tmp_path: Path) -> None:
    asked = examples("LaMP-7")
    predictions, model = predict("zero-shot", "LaMP-7", asked, tmp_path)
    assert [chat[-1].content for chat in model.chats] == [one.input for one in asked]
    assert all(one.evidence == () and one.draft == one.text for one in predictions)


def test_rag_shows_the_official_prompt_with_the_best_items(tmp_path: Path) -> None:
    asked, task = examples("LaMP-7"), get_task("LaMP-7")
    predictions, model = predict("rag-bm25", "LaMP-7", asked, tmp_path, k=2)
    for one, prediction, chat in zip(asked, predictions, model.chats, strict=True):
        texts = [task.retrieval_text(item) for item in one.profile]
        best = get_retriever("bm25").rank(task.retrieval_query(one), texts)[:2]
        assert prediction.evidence == tuple(one.profile[place].id for place in best)
        assert chat[-1].content == task.prompt(one, [one.profile[place] for place in best])[0].content


def test_evidence_beyond_the_budget_is_cut_and_counted(tmp_path: Path) -> None:
    asked = examples("LaMP-4")
    whole, uncut = predict("rag-bm25", "LaMP-4", asked, tmp_path / "a", k=4)
    cut, model = predict("rag-bm25", "LaMP-4", asked, tmp_path / "b", k=4, max_prompt_tokens=100)
    assert all(one.cut == 0 for one in whole) and all(one.cut > 0 for one in cut)
    for one, before, after in zip(cut, uncut.chats, model.chats, strict=True):
        words = [len(chat[-1].content.split()) for chat in (before, after)]
        assert words[0] - words[1] == one.cut


def test_label_methods_are_calibrated_against_a_content_free_twin(tmp_path: Path) -> None:
    model = ScriptedModel(lambda chat: "3")
    seen: list[Any] = []
    choose = model.choose

    def recorded(chats: Any, options: Any, *, neutral: Any = None) -> Any:
        seen.append((options, neutral))
        return choose(chats, options, neutral=neutral)

    model.choose = recorded  # type: ignore[method-assign]
    StoredDrafts(ResultStore(tmp_path), model).drafts(get_task("LaMP-3"), examples("LaMP-3", 2))
    ((options, neutral),) = seen
    assert tuple(options) == ("1", "2", "3", "4", "5")
    assert all(chat[-1].content.endswith("review: N/A") for chat in neutral)
