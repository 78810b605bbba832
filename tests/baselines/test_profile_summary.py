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


def make_context(folder: Path, model: ScriptedModel) -> PredictContext:
    drafts = StoredDrafts(ResultStore(folder), model)
    evidence = RankedEvidence(get_retriever, Words, seed=0)
    return PredictContext(model, drafts, evidence, seed=0, users=folder / "users")


def predict(name: str, examples: Sequence[Example], folder: Path, model: ScriptedModel) -> list[Prediction]:
    method_class = get_method(name)
    return list(method_class(method_class.Config()).predict(TASK, examples, make_context(folder, model)))


def make_examples(count: int) -> list[Example]:
    return [labelled.example for labelled in generate("LaMP-7", "dev", count).labelled]


def repeat_item(example: Example, count: int, words: int) -> Example:
    """The example with so many long items."""
    items = []
    for number in range(count):
        fields = {"text": f"{number} " + "word " * words}
        items.append(replace(example.profile[0], id=str(number), fields=fields))
    return replace(example, profile=tuple(items))


def prompts_that_start(model: ScriptedModel, start: str) -> list[str]:
    return [chat[-1].content for chat in model.chats if chat[-1].content.startswith(start)]


@pytest.mark.parametrize("name", ["profile-summary", "profile-summary-rag"])
def test_a_user_is_summarized_once_for_all_methods(name: str, tmp_path: Path) -> None:
    first, second = make_examples(2)
    examples = [first, second, replace(first, id="again", input=second.input)]
    first_model, later_model = ScriptedModel(reply), ScriptedModel(reply)

    predict("profile-summary", examples, tmp_path, first_model)
    predictions = predict(name, examples, tmp_path, later_model)

    assert len(prompts_that_start(first_model, "Past items")) == 2
    assert not prompts_that_start(later_model, "Past items") and len(later_model.chats) == 3
    assert all(p.usage.calls == 2 and p.trajectory == "likes cats" for p in predictions)


@pytest.mark.parametrize(("name", "item_count"), [("profile-summary", 0), ("profile-summary-rag", 4)])
def test_the_prompt_carries_the_summary_and_the_items(name: str, item_count: int, tmp_path: Path) -> None:
    model, (example,) = ScriptedModel(reply), make_examples(1)

    (prediction,) = predict(name, [example], tmp_path, model)

    prompt = model.chats[-1][-1].content
    shown_items = [item for item in example.profile if item.id in prediction.evidence]
    assert len(prediction.evidence) == item_count
    assert prompt.startswith("About this user: likes cats\n\n")
    assert prompt.endswith(TASK.prompt(example, shown_items)[-1].content[-80:])


def test_a_long_profile_is_read_in_parts_that_are_merged(tmp_path: Path) -> None:
    model, (example,) = ScriptedModel(reply), make_examples(1)

    (prediction,) = predict("profile-summary", [repeat_item(example, 40, words=70)], tmp_path, model)

    parts = prompts_that_start(model, "Past items")
    assert len(parts) == 4 and sum(part.count("\n- ") for part in parts) == 40
    assert prediction.trajectory == "merged"
    assert prompts_that_start(model, "Notes")[0].count("- likes cats") == 4
    assert prediction.usage.calls == 6 and max(map(len, parts)) < 4300


def test_a_long_item_loses_words_and_keeps_its_answer() -> None:
    item = ProfileItem("1", {"title": "The headline", "text": "start " + "word " * 400 + "finish"})

    (((message,),),) = first_chats(get_task("LaMP-4"), [Example("1", "u", "x", (item,))])

    assert "start" in message.content and "=> The headline" in message.content
    assert "finish" not in message.content and len(message.content) < 800


def test_an_empty_item_and_an_endless_answer_are_read_too() -> None:
    endless_answer = (ProfileItem("1", {"title": "word " * 9000, "text": "t"}),)
    empty_items = tuple(ProfileItem(str(number), {"text": ""}) for number in range(3000))

    for task, profile in ((get_task("LaMP-4"), endless_answer), (TASK, empty_items)):
        (chats,) = first_chats(task, [Example("1", "u", "x", profile)])
        assert chats and all(len(chat[-1].content) < 4300 for chat in chats)


def test_notes_that_fill_a_prompt_are_merged_in_rounds(tmp_path: Path) -> None:
    def write_long_note(chat: Chat) -> str:
        text = chat[-1].content
        return f"{'noted ' * 60}{text.split()[6]}" if text.startswith("Past items") else reply(chat)

    (example,) = make_examples(1)
    examples = [repeat_item(example, 300, words=110)]
    model, later_model = ScriptedModel(write_long_note), ScriptedModel(write_long_note)

    (prediction,) = predict("profile-summary", examples, tmp_path, model)
    assert max(len(chat[-1].content) for chat in model.chats) < 4300
    assert len(prompts_that_start(model, "Notes about one user")) > 2 and prediction.trajectory == "merged"

    (later_prediction,) = predict("profile-summary", examples, tmp_path, later_model)
    assert len(later_model.chats) == 1
    assert later_prediction.usage.calls == prediction.usage.calls == len(model.chats)


class Failing(ScriptedModel):
    """Refuses prompts with a beginning; every prompt where none is set."""

    refused_start = ""

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> list[Completion]:
        completions = list(super().generate(chats, decoding))
        for index, chat in enumerate(chats):
            if chat[-1].content.startswith(self.refused_start):
                completions[index] = replace(completions[index], text="", failure="refused")
        return completions


@pytest.mark.parametrize("start", ["Past items of one user", "Notes about one user"])
def test_a_failed_summary_is_the_failure_of_its_prediction(start: str, tmp_path: Path) -> None:
    (example,) = make_examples(1)
    examples = [repeat_item(example, 40, words=70), replace(example, id="no history", profile=())]
    model = Failing(reply)
    model.refused_start = start

    failed, without_history = predict("profile-summary", examples, tmp_path, model)
    assert failed.failure == "no summary of the profile (refused)" and without_history.failure is None

    later_prediction, _ = predict("profile-summary", examples, tmp_path, ScriptedModel(reply))
    assert later_prediction.failure is None and later_prediction.trajectory == "merged"


def test_an_empty_profile_gets_the_official_prompt(tmp_path: Path) -> None:
    example, model = replace(make_examples(1)[0], profile=()), ScriptedModel(reply)

    (prediction,) = predict("profile-summary", [example], tmp_path, model)

    assert [chat[-1].content for chat in model.chats] == [example.input] and prediction.trajectory is None


def test_each_kind_of_task_asks_for_something_else(tmp_path: Path) -> None:
    questions = set()
    for name in ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-7"):
        model, example = ScriptedModel(reply), generate(name, "dev", 1).labelled[0].example
        method_class = get_method("profile-summary")
        context = make_context(tmp_path, model)
        list(method_class(method_class.Config()).predict(get_task(name), [example], context))
        questions.add(prompts_that_start(model, "Past items")[0].rsplit("say ", 1)[1])

    assert len(questions) == 4


def test_a_failed_summary_is_asked_for_again(tmp_path: Path) -> None:
    failing_model, model = Failing(reply), ScriptedModel(reply)
    chats = [TASK.prompt(example) for example in make_examples(2)]

    failed = StoredDrafts(ResultStore(tmp_path), failing_model).generate_once("x", chats, Decoding(8), failing_model)
    answered = StoredDrafts(ResultStore(tmp_path), model).generate_once("x", chats, Decoding(8), model)

    assert [completion.failure for completion in failed] == ["refused", "refused"]
    assert [completion.text for completion in answered] == ["the answer", "the answer"]
