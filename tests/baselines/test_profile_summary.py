"""Summaries of users: once a profile, in parts where it is long, kept between processes, in every prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rpobench.baselines.summaries import first_chats
from words import Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import PredictContext
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, ProfileItem

TASK = get_task("LaMP-7")


def reply(chat: Chat) -> str:
    text = chat[-1].content
    if text.startswith("Notes about one user"):
        return "merged"
    return "likes\ncats" if text.startswith("Past items of one user") else "the answer"


def predict(name: str, asked: Sequence[Example], folder: Path, model: ScriptedModel) -> list[Prediction]:
    method, drafts = get_method(name), StoredDrafts(ResultStore(folder), model)
    evidence = RankedEvidence(get_retriever, Words, seed=0)
    context = PredictContext(model, drafts, evidence, seed=0, users=folder / "users")
    return list(method(method.Config()).predict(TASK, asked, context))


def examples(count: int) -> list[Example]:
    return [one.example for one in generate("LaMP-7", "dev", count).labelled]


def of_kind(model: ScriptedModel, start: str) -> list[str]:
    return [chat[-1].content for chat in model.chats if chat[-1].content.startswith(start)]


@pytest.mark.parametrize("name", ["profile-summary", "profile-summary-rag"])
def test_a_user_is_summarized_once_for_all_methods_and_processes(name: str, tmp_path: Path) -> None:
    first, second = examples(2)
    asked = [first, second, replace(first, id="again", input=second.input)]
    model = ScriptedModel(reply)
    predict("profile-summary", asked, tmp_path, model)
    assert len(of_kind(model, "Past items")) == 2
    later = ScriptedModel(reply)
    made = predict(name, asked, tmp_path, later)
    assert not of_kind(later, "Past items") and len(later.chats) == 3
    assert all(one.usage.calls == 2 and one.trajectory == "likes cats" for one in made)


def test_the_prompt_carries_the_summary_and_with_rag_the_items_too(tmp_path: Path) -> None:
    asked = examples(1)
    for name, shown in (("profile-summary", 0), ("profile-summary-rag", 4)):
        model = ScriptedModel(reply)
        (made,) = predict(name, asked, tmp_path / name, model)
        items = [item for item in asked[0].profile if item.id in made.evidence]
        assert len(made.evidence) == shown
        assert model.chats[-1][-1].content.startswith("About this user: likes cats\n\n")
        assert model.chats[-1][-1].content.endswith(TASK.prompt(asked[0], items)[-1].content[-80:])


def test_a_long_profile_is_read_in_parts_that_are_merged(tmp_path: Path) -> None:
    (one,) = examples(1)
    many = [replace(one.profile[0], id=str(i), fields={"text": f"{i} " + "word " * 70}) for i in range(40)]
    model = ScriptedModel(reply)
    (made,) = predict("profile-summary", [replace(one, profile=tuple(many))], tmp_path, model)
    parts = of_kind(model, "Past items")
    assert len(parts) == 4 and sum(part.count("\n- ") for part in parts) == 40
    assert made.trajectory == "merged" and of_kind(model, "Notes")[0].count("- likes cats") == 4
    assert made.usage.calls == 6 and max(map(len, parts)) < 4300


def test_a_long_item_loses_words_of_its_text_and_keeps_its_answer() -> None:
    task = get_task("LaMP-4")
    one = ProfileItem("1", {"title": "The headline", "text": "start " + "word " * 400 + "finish"})
    (((message,),),) = first_chats(task, [Example("1", "u", "x", (one,))])
    assert "start" in message.content and "=> The headline" in message.content
    assert "finish" not in message.content and len(message.content) < 800


def test_an_empty_item_and_an_endless_answer_are_read_too() -> None:
    task = get_task("LaMP-4")
    endless = Example("1", "u", "x", (ProfileItem("1", {"title": "word " * 9000, "text": "t"}),))
    nothing = Example("2", "u", "x", tuple(ProfileItem(str(i), {"text": ""}) for i in range(3000)))
    for one, asked in ((endless, task), (nothing, TASK)):
        (chats,) = first_chats(asked, [one])
        assert chats and all(len(chat[-1].content) < 4300 for chat in chats)


def test_notes_that_fill_a_prompt_are_merged_in_rounds(tmp_path: Path) -> None:
    def note(chat: Chat) -> str:
        text = chat[-1].content
        return f"{'noted ' * 60}{text.split()[6]}" if text.startswith("Past items") else reply(chat)

    (one,) = examples(1)
    many = [replace(one.profile[0], id=str(i), fields={"text": f"{i} " + "word " * 110}) for i in range(300)]
    asked, model, later = [replace(one, profile=tuple(many))], ScriptedModel(note), ScriptedModel(note)
    (made,) = predict("profile-summary", asked, tmp_path, model)
    assert max(len(chat[-1].content) for chat in model.chats) < 4300
    assert len(of_kind(model, "Notes about one user")) > 2 and made.trajectory == "merged"
    (again,) = predict("profile-summary", asked, tmp_path, later)
    assert len(later.chats) == 1 and again.usage.calls == made.usage.calls == len(model.chats)


@pytest.mark.parametrize("start", ["Past items of one user", "Notes about one user"])
def test_a_summary_that_failed_is_the_failure_of_its_prediction(start: str, tmp_path: Path) -> None:
    (one,) = examples(1)
    many = [replace(one.profile[0], id=str(i), fields={"text": f"{i} " + "word " * 70}) for i in range(40)]

    class Failing(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> list[Completion]:
            made = super().generate(chats, decoding)
            failed = [chat[-1].content.startswith(start) for chat in chats]
            return [replace(m, text="", failure="refused") if f else m for m, f in zip(made, failed, strict=True)]

    asked = [replace(one, profile=tuple(many)), replace(one, id="no history", profile=())]
    made, without = predict("profile-summary", asked, tmp_path, Failing(reply))
    assert made.failure == "no summary of the profile (refused)" and without.failure is None
    (again, _) = predict("profile-summary", asked, tmp_path, ScriptedModel(reply))
    assert again.failure is None and again.trajectory == "merged"


def test_an_empty_profile_has_no_summary_and_the_official_prompt(tmp_path: Path) -> None:
    one, model = replace(examples(1)[0], profile=()), ScriptedModel(reply)
    (made,) = predict("profile-summary", [one], tmp_path, model)
    assert [chat[-1].content for chat in model.chats] == [one.input] and made.trajectory is None


def test_each_kind_of_task_asks_for_something_else(tmp_path: Path) -> None:
    asked = set()
    for name in ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-7"):
        model, one = ScriptedModel(reply), generate(name, "dev", 1).labelled[0].example
        method = get_method("profile-summary")
        drafts, evidence = StoredDrafts(ResultStore(tmp_path), model), RankedEvidence(get_retriever, Words, seed=0)
        context = PredictContext(model, drafts, evidence, seed=0, users=tmp_path / "users")
        list(method(method.Config()).predict(get_task(name), [one], context))
        asked.add(of_kind(model, "Past items")[0].rsplit("say ", 1)[1])
    assert len(asked) == 4


def test_a_failed_summary_is_asked_for_again(tmp_path: Path) -> None:
    class Failing(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> list[Completion]:
            return [Completion("", failure="refused") for _ in chats]

    models = (Failing(reply), ScriptedModel(reply))
    drafts = [StoredDrafts(ResultStore(tmp_path), model) for model in models]
    chats = [TASK.prompt(one) for one in examples(2)]
    assert [one.failure for one in drafts[0].generate_once("x", chats, Decoding(8), models[0])] == [
        "refused",
        "refused",
    ]
    assert [one.text for one in drafts[1].generate_once("x", chats, Decoding(8), models[1])] == [
        "the answer",
        "the answer",
    ]
