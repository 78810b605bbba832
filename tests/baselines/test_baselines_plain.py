"""The baselines that need no model, and those that rewrite without training: what each one answers and asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from words import Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import FitContext, PredictContext
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Completion, Example, Labelled, Prediction, ProfileItem


def make_fit_context(folder: Path, model: ScriptedModel) -> FitContext:
    drafts = StoredDrafts(ResultStore(folder), model)
    return FitContext(model, drafts, RankedEvidence(get_retriever, Words, seed=0), 0, folder)


def make_context(folder: Path, model: ScriptedModel) -> PredictContext:
    drafts = StoredDrafts(ResultStore(folder), model)
    return PredictContext(model, drafts, RankedEvidence(get_retriever, Words, seed=0), 0, folder / "users")


def predict(
    name: str, task_name: str, examples: list[Example], folder: Path, train: list[Labelled] | None = None, **config: Any
) -> list[Prediction]:
    method = get_method(name)(get_method(name).Config(**config))
    model = ScriptedModel(lambda chat: "never asked")

    if train is not None:
        method.fit({get_task(task_name): train}, make_fit_context(folder, model))
    return list(method.predict(get_task(task_name), examples, make_context(folder, model)))


def first_example(task_name: str) -> Example:
    return generate(task_name, "dev", 1).labelled[0].example


def make_reviewer(*scores: str) -> Example:
    items = [ProfileItem(f"{score}{number}", {"text": "t", "score": score}) for number, score in enumerate(scores)]
    return Example("1", "u", "review: x", tuple(items))


def make_tagger(*tags: str) -> Example:
    items = [ProfileItem(str(number), {"description": "d", "tag": tag}) for number, tag in enumerate(tags)]
    return Example("1", "u", "x", tuple(items))


@pytest.mark.parametrize(
    ("config", "own_rating", "rating_of_all"), [({}, "4", "2"), ({"rating": "mean"}, "3.33333", "3")]
)
def test_majority_is_the_median_or_mean_rating(
    config: dict[str, str], own_rating: str, rating_of_all: str, tmp_path: Path
) -> None:
    train = [Labelled(Example(str(number), "v", "x"), target) for number, target in enumerate(["2", "2", "5"])]
    examples = [make_reviewer("1", "4", "5"), make_reviewer()]

    predictions = predict("majority", "LaMP-3", examples, tmp_path, train, **config)

    assert [prediction.text for prediction in predictions] == [own_rating, rating_of_all]


def test_majority_is_the_most_frequent_label(tmp_path: Path) -> None:
    train = [Labelled(Example("0", "v", "x"), "comedy")]
    examples = [make_tagger("action", "comedy", "action"), make_tagger("comedy", "action"), make_tagger()]

    predictions = predict("majority", "LaMP-2", examples, tmp_path, train)

    first_of_task = min(("comedy", "action"), key=get_task("LaMP-2").labels.index)
    assert [prediction.text for prediction in predictions] == ["action", first_of_task, "comedy"]


def test_copy_input_gives_the_first_sentence_or_all(tmp_path: Path) -> None:
    examples = [Example("1", "u", f"{get_task('LaMP-4').instruction}One day. Then another! And a third.")]

    (sentence,) = predict("copy-input", "LaMP-4", examples, tmp_path)
    (all_of_it,) = predict("copy-input", "LaMP-4", examples, tmp_path, part="all")

    assert sentence.text == "One day."
    assert all_of_it.text == "One day. Then another! And a third."


def test_nearest_target_copies_the_answer_of_the_best_item(tmp_path: Path) -> None:
    long_title = " ".join(f"w{number}" for number in range(3000))
    items = (
        ProfileItem("a", {"text": "far", "title": "A"}),
        ProfileItem("b", {"text": "cat", "title": long_title}),
        ProfileItem("c", {"text": "", "title": "C"}),
    )
    examples = [Example("1", "u", f"{get_task('LaMP-4').instruction}the cat", items), Example("2", "u", "x")]

    with_history, without_history = predict("nearest-target", "LaMP-4", examples, tmp_path)

    assert with_history.text == long_title and with_history.evidence == ("b",)
    assert with_history.failure is None and without_history.failure == "no past answer to copy"


@pytest.mark.parametrize(
    ("task_name", "content", "answer"),
    [
        ("LaMP-4", "One day. Then another.", "One day."),
        ("LaMP-3", "A fine book.", "3"),
        ("LaMP-2", "Robots.", get_task("LaMP-2").labels[0]),
    ],
)
def test_nearest_target_answers_who_has_no_past(tmp_path: Path, task_name: str, content: str, answer: str) -> None:
    task = get_task(task_name)
    example = Example("1", "u", f"{task.instruction}{content}")

    (prediction,) = predict("nearest-target", task_name, [example], tmp_path)

    assert (prediction.text, prediction.failure) == (answer, "no past answer to copy")


@pytest.mark.parametrize(
    ("name", "task_name"), [("majority", "LaMP-7"), ("copy-input", "LaMP-3"), ("nearest-target", "LaMP-1")]
)
def test_a_method_says_where_it_means_nothing(name: str, task_name: str) -> None:
    assert not get_method(name)(get_method(name).Config()).applies_to(get_task(task_name))


def reply_by_step(chat: Chat) -> str:
    text = chat[-1].content
    if "In one sentence" in text:
        return "the critique"
    return "the rewrite" if "Rewrite the draft" in text else "the draft"


@pytest.mark.parametrize(("name", "calls"), [("self-rewrite", 2), ("critique-rewrite", 3)])
def test_rewriters_show_draft_and_evidence_and_count_calls(name: str, calls: int, tmp_path: Path) -> None:
    example, model = first_example("LaMP-7"), ScriptedModel(reply_by_step)
    method = get_method(name)(get_method(name).Config(k=2))

    (prediction,) = method.predict(get_task("LaMP-7"), [example], make_context(tmp_path, model))

    last_prompt = model.chats[-1][-1].content
    shown_items = [item for item in example.profile if item.id in prediction.evidence]
    assert len(model.chats) == calls == prediction.usage.calls
    assert (prediction.draft, prediction.text) == ("the draft", "the rewrite") and len(prediction.evidence) == 2
    assert "Draft answer: the draft" in last_prompt
    assert all(item.fields["text"] in last_prompt for item in shown_items)

    has_critique = calls == 3
    assert prediction.trajectory == ("the critique" if has_critique else None)
    assert ("the critique" in last_prompt) is has_critique


class Failing(ScriptedModel):
    """Refuses to write a critique."""

    def generate(self, chats: Any, decoding: Any) -> Any:
        completions = list(super().generate(chats, decoding))
        for index, chat in enumerate(chats):
            if "In one sentence" in chat[-1].content:
                completions[index] = replace(completions[index], text="", failure="refused")
        return completions


def test_a_failed_critique_is_the_failure_of_its_prediction(tmp_path: Path) -> None:
    method_class = get_method("critique-rewrite")
    context = make_context(tmp_path, Failing(lambda chat: "words"))

    predictions = method_class(method_class.Config()).predict(get_task("LaMP-7"), [first_example("LaMP-7")], context)

    (prediction,) = predictions
    assert prediction.failure == "no critique (refused)" and prediction.text == "words"


PROMPTED = ["rag-bm25", "full-profile", "self-rewrite", "critique-rewrite", "profile-summary", "profile-summary-rag"]


def liking(chat: Chat, label: str) -> float:
    """A habit of saying 5, and what stands in the chat."""
    return 9.0 * (label == "5") + sum(message.content.count(f"rated {label}") for message in chat)


class Calibrated(ScriptedModel):
    """Chooses the label that it likes most, compared with the chat without content."""

    def choose(self, chats: Any, options: Any, *, neutral: Any = None) -> list[Completion]:
        completions = []
        for chat, neutral_chat in zip(chats, neutral, strict=True):
            likings = {label: liking(chat, label) - liking(neutral_chat, label) for label in options}
            completions.append(Completion(max(likings, key=likings.__getitem__)))
        return completions


@pytest.mark.parametrize("name", PROMPTED)
def test_calibration_removes_a_habit_and_leaves_the_history(tmp_path: Path, name: str) -> None:
    items = [ProfileItem(str(number), {"text": f"rated {rating}", "score": "1"}) for number, rating in enumerate("242")]
    example = replace(first_example("LaMP-3"), profile=tuple(items))
    method = get_method(name)(get_method(name).Config())
    model = Calibrated(lambda chat: "rated 2")  # a summary or critique of the history

    (prediction,) = method.predict(get_task("LaMP-3"), [example], make_context(tmp_path, model))

    assert prediction.text == "2"


class Recorded(ScriptedModel):
    """Records the chats without content."""

    def __init__(self, reply: Any) -> None:
        super().__init__(reply)
        self.neutral: list[Any] = []

    def choose(self, chats: Any, options: Any, *, neutral: Any = None) -> Any:
        self.neutral.append(neutral)
        return super().choose(chats, options, neutral=neutral)


def test_a_rewriter_is_calibrated_without_input_and_draft(tmp_path: Path) -> None:
    model = Recorded(lambda chat: "3")
    method = get_method("self-rewrite")(get_method("self-rewrite").Config(k=1))

    list(method.predict(get_task("LaMP-3"), [first_example("LaMP-3")], make_context(tmp_path, model)))

    text = model.neutral[-1][0][-1].content
    assert "Draft answer: N/A" in text and text.count("N/A") == 2 and "wrote before:\n- nothing\n" in text
