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


def fit_context(folder: Path, model: ScriptedModel) -> FitContext:
    drafts = StoredDrafts(ResultStore(folder), model)
    return FitContext(model, drafts, RankedEvidence(get_retriever, Words, seed=0), 0, folder)


def context(folder: Path, model: ScriptedModel) -> PredictContext:
    drafts = StoredDrafts(ResultStore(folder), model)
    return PredictContext(model, drafts, RankedEvidence(get_retriever, Words, seed=0), 0, folder / "users")


def answers(
    name: str, task_name: str, asked: list[Example], folder: Path, train: list[Labelled] | None = None, **config: Any
) -> list[Prediction]:
    method = get_method(name)(get_method(name).Config(**config))
    model = ScriptedModel(lambda chat: "never asked")

    if train is not None:
        method.fit({get_task(task_name): train}, fit_context(folder, model))
    return list(method.predict(get_task(task_name), asked, context(folder, model)))


def reviews(*scores: str) -> Example:
    return Example(
        "1", "u", "review: x", tuple(ProfileItem(s + str(i), {"text": "t", "score": s}) for i, s in enumerate(scores))
    )


def test_majority_is_the_median_rating_or_the_mean_and_of_all_users_without_a_history(tmp_path: Path) -> None:
    train = [Labelled(Example(str(i), "v", "x"), target) for i, target in enumerate(["2", "2", "5"])]
    for config, own, of_all in (({}, "4", "2"), ({"rating": "mean"}, "3.33333", "3")):
        made = answers("majority", "LaMP-3", [reviews("1", "4", "5"), reviews()], tmp_path, train, **config)
        assert [one.text for one in made] == [own, of_all]


def test_majority_takes_the_most_frequent_label_and_of_equal_ones_the_first_of_the_task(tmp_path: Path) -> None:
    def films(*tags: str) -> Example:
        return Example(
            "1", "u", "x", tuple(ProfileItem(str(i), {"description": "d", "tag": t}) for i, t in enumerate(tags))
        )

    train = [Labelled(Example("0", "v", "x"), "comedy")]
    made = answers(
        "majority", "LaMP-2", [films("action", "comedy", "action"), films("comedy", "action"), films()], tmp_path, train
    )
    first = min(("comedy", "action"), key=get_task("LaMP-2").labels.index)
    assert [one.text for one in made] == ["action", first, "comedy"]


def test_copy_input_gives_the_first_sentence_or_all_without_the_instruction(tmp_path: Path) -> None:
    asked = [Example("1", "u", f"{get_task('LaMP-4').instruction}One day. Then another! And a third.")]
    assert answers("copy-input", "LaMP-4", asked, tmp_path)[0].text == "One day."
    assert answers("copy-input", "LaMP-4", asked, tmp_path, part="all")[0].text == "One day. Then another! And a third."


def test_nearest_target_copies_the_answer_of_the_most_similar_item_whole(tmp_path: Path) -> None:
    words = " ".join(f"w{place}" for place in range(3000))
    items = (
        ProfileItem("a", {"text": "far", "title": "A"}),
        ProfileItem("b", {"text": "cat", "title": words}),
        ProfileItem("c", {"text": "", "title": "C"}),
    )
    asked = [Example("1", "u", f"{get_task('LaMP-4').instruction}the cat", items), Example("2", "u", "x")]
    made = answers("nearest-target", "LaMP-4", asked, tmp_path)
    assert made[0].text == words and made[0].evidence == ("b",)
    assert made[1].text == "" and made[1].failure == "no past answer to copy"


@pytest.mark.parametrize(
    ("name", "task_name"), [("majority", "LaMP-7"), ("copy-input", "LaMP-3"), ("nearest-target", "LaMP-1")]
)
def test_a_method_says_where_it_means_nothing(name: str, task_name: str) -> None:
    assert not get_method(name)(get_method(name).Config()).applies_to(get_task(task_name))


@pytest.mark.parametrize(("name", "calls"), [("self-rewrite", 2), ("critique-rewrite", 3)])
def test_untrained_rewriters_show_draft_and_evidence_and_count_every_call(
    name: str, calls: int, tmp_path: Path
) -> None:
    def reply(chat: Any) -> str:
        text = chat[-1].content
        return (
            "the critique"
            if "In one sentence" in text
            else "the rewrite"
            if "Rewrite the draft" in text
            else "the draft"
        )

    one = generate("LaMP-7", "dev", 1).labelled[0].example
    model = ScriptedModel(reply)
    method = get_method(name)(get_method(name).Config(k=2))
    (made,) = method.predict(get_task("LaMP-7"), [one], context(tmp_path, model))
    last = model.chats[-1][-1].content
    assert len(model.chats) == calls == made.usage.calls
    assert (made.draft, made.text) == ("the draft", "the rewrite") and len(made.evidence) == 2
    assert "Draft answer: the draft" in last and all(
        item.fields["text"] in last for item in one.profile if item.id in made.evidence
    )
    assert (made.trajectory, "the critique" in last) == (("the critique", True) if calls == 3 else (None, False))


def test_a_critique_that_failed_is_the_failure_of_its_prediction(tmp_path: Path) -> None:
    class Failing(ScriptedModel):
        def generate(self, chats: Any, decoding: Any) -> Any:
            made = super().generate(chats, decoding)
            failed = ["In one sentence" in chat[-1].content for chat in chats]
            return [replace(m, text="", failure="refused") if f else m for m, f in zip(made, failed, strict=True)]

    one = generate("LaMP-7", "dev", 1).labelled[0].example
    method = get_method("critique-rewrite")
    (made,) = method(method.Config()).predict(
        get_task("LaMP-7"), [one], context(tmp_path, Failing(lambda chat: "words"))
    )
    assert made.failure == "no critique (refused)" and made.text == "words"


PROMPTED = ["rag-bm25", "full-profile", "self-rewrite", "critique-rewrite", "profile-summary", "profile-summary-rag"]


@pytest.mark.parametrize("name", PROMPTED)
def test_calibration_takes_away_a_habit_and_leaves_what_the_history_says(tmp_path: Path, name: str) -> None:
    """The model likes 5, and what stands in its chat: calibrated, it must say what the history says."""

    def likes(chat: Chat, label: str) -> float:
        return 9.0 * (label == "5") + sum(message.content.count(f"rated {label}") for message in chat)

    class Calibrated(ScriptedModel):
        def choose(self, chats: Any, options: Any, *, neutral: Any = None) -> list[Completion]:
            pairs = zip(chats, neutral, strict=True)
            return [
                Completion(max(options, key=lambda one: likes(chat, one) - likes(twin, one))) for chat, twin in pairs
            ]

    rated = [ProfileItem(str(place), {"text": f"rated {one}", "score": "1"}) for place, one in enumerate("242")]
    asked = replace(generate("LaMP-3", "dev", 1).labelled[0].example, profile=tuple(rated))
    method = get_method(name)(get_method(name).Config())
    model = Calibrated(lambda chat: "rated 2")  # a summary or critique of the history
    (made,) = method.predict(get_task("LaMP-3"), [asked], context(tmp_path, model))
    assert made.text == "2"


def test_an_untrained_rewriter_is_calibrated_without_input_and_draft(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Recorded(ScriptedModel):
        def choose(self, chats: Any, options: Any, *, neutral: Any = None) -> Any:
            seen.append(neutral)
            return super().choose(chats, options, neutral=neutral)

    one = generate("LaMP-3", "dev", 1).labelled[0].example
    method = get_method("self-rewrite")(get_method("self-rewrite").Config(k=1))
    list(method.predict(get_task("LaMP-3"), [one], context(tmp_path, Recorded(lambda chat: "3"))))
    text = seen[-1][0][-1].content
    assert "Draft answer: N/A" in text and text.count("N/A") == 2 and "wrote before:\n- nothing\n" in text
