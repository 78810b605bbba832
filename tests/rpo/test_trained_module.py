"""RPO as a method, followed through draft, trajectory, rewrite and score for each kind of task."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
from rpobench.types import Chat, Example, Prediction, ProfileItem, RpobenchError

FULL = Form()


def predict(
    task_name: str, draft: str, module_text: str | Callable[[Chat], str]
) -> tuple[Prediction, ScriptedModel, float]:
    task = get_task(task_name)
    one = generate(task_name, "dev", 1).labelled[0]
    module = ScriptedModel(module_text if callable(module_text) else lambda chat: module_text)
    method = RPO(RPO.Config(k=2), reflector=module)
    context = PredictContext(module, FixedDrafts(draft), FirstItems(), 0, Path("unused"))
    (prediction,) = method.predict(task, [one.example], context)
    return prediction, module, task.score(prediction.text, one.target)


@pytest.mark.parametrize(("task_name", "draft"), [("LaMP-1", "[2]"), ("LaMP-2", "comedy"), ("LaMP-3", "3")])
def test_a_label_task_ends_in_a_label_chosen_after_the_modules_analysis(task_name: str, draft: str) -> None:
    label = get_task(task_name).labels[0]
    written = FULL.render(Trajectory(f"{label}, always {label} and {label}", "that", "whatever"))
    prediction, module, score = predict(task_name, draft, written)
    assert prediction.text == label
    assert prediction.draft == draft and prediction.trajectory == written and prediction.failure is None
    continued: Chat = module.chats[-1]
    assert continued[-1].role == "assistant" and continued[-1].content == written.removesuffix(" whatever")
    assert score == get_task(task_name).score(label, generate(task_name, "dev", 1).labelled[0].target)


def test_a_text_task_ends_in_the_rewrite() -> None:
    written = FULL.render(Trajectory("5 words", "9 words", "ok so lunch again"))
    prediction, module, score = predict("LaMP-7", "I had lunch", written)
    assert (prediction.text, prediction.draft) == ("ok so lunch again", "I had lunch")
    assert len(prediction.evidence) == 2 and prediction.usage.calls > 1
    assert "Draft tweet paraphrase: I had lunch" in module.chats[0][-1].content
    assert 0 <= score <= 1


def test_where_nothing_parses_the_draft_stands_and_is_counted() -> None:
    for task_name, draft in (("LaMP-7", "I had lunch"), ("LaMP-2", "comedy")):
        prediction, _, _ = predict(task_name, draft, "Sure! Here is a tweet.")
        assert prediction.text == draft
        assert prediction.failure is not None and "draft stands" in prediction.failure


def test_a_text_that_left_out_a_line_is_taken_up_with_the_label_of_that_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def forgetful(chat: Chat) -> str:
        return "9 words\nRewrite: ok lunch" if chat[-1].role == "assistant" else "History shows: 5 words\nRewrite: hm"

    prediction, module, _ = predict("LaMP-7", "I had lunch", forgetful)
    assert module.chats[-1][-1].content == "History shows: 5 words\nDraft lacks:"
    assert prediction.trajectory == FULL.render(Trajectory("5 words", "9 words", "ok lunch"))
    assert (prediction.text, prediction.failure) == ("ok lunch", None)
    assert prediction.usage.calls == 3  # draft, text, text led
    assert "LaMP-7: 1 of 1 answers missed a line of the required format; 1 were repaired" in capsys.readouterr().err


def test_a_text_that_leaves_its_form_again_stays_as_it_first_was() -> None:
    prediction, module, _ = predict("LaMP-7", "I had lunch", "History shows: 5 words")
    assert module.calls == 2 and prediction.trajectory == "History shows: 5 words"
    assert prediction.text == "I had lunch" and prediction.failure is not None


def test_a_rewrite_that_is_no_answer_lets_the_draft_stand_and_says_so() -> None:
    prediction, _, _ = predict("LaMP-7", "I had lunch", FULL.render(Trajectory("a", "b", "...")))
    assert prediction.text == "I had lunch"
    assert prediction.failure == "the rewrite is no answer of the task: the draft stands"


def small_context(checkpoint: Path, folder: Path, context: int) -> TransformersModel:
    """The checkpoint with another context length."""
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": context}))
    return TransformersModel(folder)


def test_a_prompt_beyond_the_context_loses_evidence_and_then_the_draft_stands(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    module, task = small_context(tiny_checkpoint, tmp_path / "small", 400), get_task("LaMP-7")
    profile = tuple(ProfileItem(str(i), {"text": "word " * 40}) for i in range(3))
    examples = [Example("some", "u", "tweet", profile), Example("none", "u", "tweet " * 600, profile)]
    method = RPO(RPO.Config(k=3, max_new_tokens=16), reflector=module)
    some, none = method.predict(
        task, examples, PredictContext(module, FixedDrafts("draft"), FirstItems(), 0, Path("unused"))
    )
    assert some.evidence == ("0", "1") and some.trajectory is not None
    assert none.evidence == () and none.text == "draft" and none.trajectory is None
    assert none.failure == "the input alone exceeds the module's context: the draft stands"


def test_the_module_never_sees_the_target() -> None:
    one = generate("LaMP-7", "dev", 1).labelled[0]
    _, module, _ = predict("LaMP-7", "x", FULL.render(Trajectory("a", "b", "c")))
    assert not any(one.target in message.content for chat in module.chats for message in chat)


def test_shared_scope_fits_all_tasks_together_and_task_scope_each_alone() -> None:
    shared, alone = RPO(RPO.Config(scope="shared")), RPO(RPO.Config())
    assert shared.fit_groups(["LaMP-1", "LaMP-2"]) == [("LaMP-1", "LaMP-2")]
    assert alone.fit_groups(["LaMP-1", "LaMP-2"]) == [("LaMP-1",), ("LaMP-2",)]


def test_a_module_that_cannot_be_trained_is_refused() -> None:
    with pytest.raises(RpobenchError, match="scripted:echo"):
        reflection_checkpoint("scripted:echo")
