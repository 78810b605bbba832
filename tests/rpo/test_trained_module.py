"""RPO as a method, followed through draft, trajectory, rewrite and score for each kind of task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixed_sources import FirstItems, FixedDrafts

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.method.context import PredictContext
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.rpo.reflection_model import reflection_checkpoint
from rpobench.types import Chat, Example, Labelled, Prediction, ProfileItem, RpobenchError

FORM = Form()


@dataclass(frozen=True)
class Outcome:
    """A prediction, what the reflection model was asked for it, and its score."""

    prediction: Prediction
    model: ScriptedModel
    score: float


def first_example(task_name: str) -> Labelled:
    return generate(task_name, "dev", 1).labelled[0]


def predict(task_name: str, draft: str, module_text: str | Callable[[Chat], str]) -> Outcome:
    """Answer the first example with a module that always writes the text, or what the function says."""
    task, labelled = get_task(task_name), first_example(task_name)
    model = ScriptedModel(module_text if callable(module_text) else lambda chat: module_text)
    context = PredictContext(model, FixedDrafts(draft), FirstItems(), 0, Path("unused"))

    (prediction,) = RPO(RPO.Config(k=2), reflector=model).predict(task, [labelled.example], context)
    return Outcome(prediction, model, task.score(prediction.text, labelled.target))


@pytest.mark.parametrize(("task_name", "draft"), [("LaMP-1", "[2]"), ("LaMP-2", "comedy"), ("LaMP-3", "3")])
def test_a_label_task_ends_in_a_label_chosen_after_the_analysis(task_name: str, draft: str) -> None:
    task = get_task(task_name)
    label = task.labels[0]
    module_text = FORM.render(Trajectory(f"{label}, always {label} and {label}", "that", "whatever"))

    outcome = predict(task_name, draft, module_text)

    prediction = outcome.prediction
    assert prediction.text == label
    assert prediction.draft == draft and prediction.trajectory == module_text and prediction.failure is None
    last_message = outcome.model.chats[-1][-1]
    assert last_message.role == "assistant" and last_message.content == module_text.removesuffix(" whatever")
    assert outcome.score == task.score(label, first_example(task_name).target)


def test_a_text_task_ends_in_the_rewrite() -> None:
    module_text = FORM.render(Trajectory("5 words", "9 words", "ok so lunch again"))

    outcome = predict("LaMP-7", "I had lunch", module_text)

    prediction = outcome.prediction
    assert (prediction.text, prediction.draft) == ("ok so lunch again", "I had lunch")
    assert len(prediction.evidence) == 2 and prediction.usage.calls > 1
    assert "Draft tweet paraphrase: I had lunch" in outcome.model.chats[0][-1].content
    assert 0 <= outcome.score <= 1


@pytest.mark.parametrize(("task_name", "draft"), [("LaMP-7", "I had lunch"), ("LaMP-2", "comedy")])
def test_where_nothing_parses_the_draft_stands_and_is_counted(task_name: str, draft: str) -> None:
    prediction = predict(task_name, draft, "Sure! Here is a tweet.").prediction

    assert prediction.text == draft
    assert prediction.failure is not None and "draft stands" in prediction.failure


def test_a_text_that_missed_a_line_is_continued_from_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    def forget_a_line(chat: Chat) -> str:
        return "9 words\nRewrite: ok lunch" if chat[-1].role == "assistant" else "History shows: 5 words\nRewrite: hm"

    outcome = predict("LaMP-7", "I had lunch", forget_a_line)

    prediction = outcome.prediction
    assert outcome.model.chats[-1][-1].content == "History shows: 5 words\nDraft lacks:"
    assert prediction.trajectory == FORM.render(Trajectory("5 words", "9 words", "ok lunch"))
    assert (prediction.text, prediction.failure) == ("ok lunch", None)
    assert prediction.usage.calls == 3  # the draft, the text, and the rest of the text
    message = "LaMP-7: 1 of 1 answers missed a line of the required format; 1 were repaired"
    assert message in capsys.readouterr().err


def test_a_text_that_cannot_be_repaired_stays_as_it_first_was() -> None:
    outcome = predict("LaMP-7", "I had lunch", "History shows: 5 words")

    prediction = outcome.prediction
    assert outcome.model.calls == 2 and prediction.trajectory == "History shows: 5 words"
    assert prediction.text == "I had lunch" and prediction.failure is not None


def test_a_rewrite_that_is_no_answer_lets_the_draft_stand() -> None:
    prediction = predict("LaMP-7", "I had lunch", FORM.render(Trajectory("a", "b", "..."))).prediction

    assert prediction.text == "I had lunch"
    assert prediction.failure == "the rewrite is no answer of the task: the draft stands"


def shorten_context(checkpoint: Path, folder: Path, length: int) -> TransformersModel:
    """The checkpoint with another context length."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": length}))
    return TransformersModel(folder)


def test_a_prompt_beyond_the_context_loses_evidence_first(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = shorten_context(tiny_checkpoint, tmp_path / "small", 400)
    profile = tuple(ProfileItem(str(i), {"text": "word " * 40}) for i in range(3))
    fitting, too_long = Example("a", "u", "tweet", profile), Example("b", "u", "tweet " * 600, profile)
    context = PredictContext(model, FixedDrafts("draft"), FirstItems(), 0, Path("unused"))

    method = RPO(RPO.Config(k=3, max_new_tokens=16), reflector=model)
    predictions = list(method.predict(get_task("LaMP-7"), [fitting, too_long], context))

    assert predictions[0].evidence == ("0", "1") and predictions[0].trajectory is not None
    assert predictions[1].evidence == () and predictions[1].text == "draft" and predictions[1].trajectory is None
    assert predictions[1].failure == "the input alone exceeds the module's context: the draft stands"


def test_the_module_never_sees_the_target() -> None:
    target = first_example("LaMP-7").target

    model = predict("LaMP-7", "x", FORM.render(Trajectory("a", "b", "c"))).model

    assert not any(target in message.content for chat in model.chats for message in chat)


def test_shared_scope_fits_all_tasks_together() -> None:
    assert RPO(RPO.Config(scope="shared")).fit_groups(["LaMP-1", "LaMP-2"]) == [("LaMP-1", "LaMP-2")]
    assert RPO(RPO.Config()).fit_groups(["LaMP-1", "LaMP-2"]) == [("LaMP-1",), ("LaMP-2",)]


def test_a_module_that_cannot_be_trained_is_refused() -> None:
    with pytest.raises(RpobenchError, match="scripted:echo"):
        reflection_checkpoint("scripted:echo")
