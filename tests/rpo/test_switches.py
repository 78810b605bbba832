"""Each switch of RPO and each trained rival: what the module reads and writes, which text becomes the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixed_sources import FirstItems, FixedDrafts
from pydantic import ValidationError

from rpobench import get_method, get_task
from rpobench.method.context import PredictContext
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, ProfileItem, RpobenchError

TRAJECTORY = Trajectory("s", "l", "the rewrite")
PROFILE = (ProfileItem("1", {"text": "my item", "score": "4"}),)


class Sampler(ScriptedModel):
    """Greedy says the first text, the samples say the others in turn; likelihoods come from a table."""

    def __init__(self, texts: Sequence[str], likelihoods: Mapping[str, float] | None = None) -> None:
        super().__init__(lambda chat: texts[0], scorer=lambda chat, text: (likelihoods or {}).get(text.strip(), 0.0))
        self.texts = texts
        self.decodings: list[Decoding] = []

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        text = self.texts[len(self.decodings) % len(self.texts)]
        self.decodings.append(decoding)
        self.chats.extend(chats)
        return [Completion(text)] * len(chats)


def predict(
    method_name: str, model: ScriptedModel, *, task: str = "LaMP-7", draft_text: str = "the draft", **knobs: Any
) -> Prediction:
    method_class = get_method(method_name)
    method = method_class(method_class.Config(**knobs), reflector=model)  # type: ignore[call-arg]

    drafts = FixedDrafts(draft_text, allowed=method_name == "rpo" and knobs.get("draft", True))
    context = PredictContext(model, drafts, FirstItems(), 0, Path("unused"))
    (prediction,) = method.predict(get_task(task), [Example("1", "u", "my input", PROFILE)], context)
    return prediction


FORMS = [
    ("rpo", {}, Form(), "History:\n- my item\nInput: my input\nDraft tweet paraphrase: the draft"),
    (
        "rpo",
        {"analysis": False},
        Form(analysis=False),
        "History:\n- my item\nInput: my input\nDraft tweet paraphrase: the draft",
    ),
    ("rpo", {"draft": False}, Form(draft=False), "History:\n- my item\nInput: my input"),
    ("rpo", {"evidence": False}, Form(evidence=False), "Input: my input\nDraft tweet paraphrase: the draft"),
    ("sft-rag", {}, Form(True, False, False), "History:\n- my item\nInput: my input"),
    ("sft-rag-analysis", {}, Form(True, False, True), "History:\n- my item\nInput: my input"),
    ("sft-generic", {}, Form(False, False, False), "Input: my input"),
]


@pytest.mark.parametrize(("method", "knobs", "form", "user_message"), FORMS)
def test_each_method_reads_and_writes_its_own_form(method: str, knobs: Any, form: Form, user_message: str) -> None:
    model = Sampler([form.render(TRAJECTORY)])

    prediction = predict(method, model, **knobs)

    assert model.chats[0][-1].content == user_message
    assert prediction.text == "the rewrite" and prediction.failure is None
    assert prediction.evidence == (("1",) if form.evidence else ())
    assert prediction.draft == ("the draft" if form.draft else None)
    written_parts = form.drop_unwritten_parts(TRAJECTORY)
    assert form.parse(form.render(written_parts)) == written_parts


def test_the_forms_differ_in_the_lines_they_write() -> None:
    texts = [form.render(TRAJECTORY) for _, _, form, _ in FORMS]

    assert texts[0] == texts[3] == "History shows: s\nDraft lacks: l\nRewrite: the rewrite"
    assert texts[1] == "Rewrite: the rewrite"
    assert texts[2] == texts[5] == "History shows: s\nAnswer: the rewrite"
    assert texts[4] == texts[6] == "Answer: the rewrite"
    form_with_analysis = FORMS[5][2]
    can_parse = [form_with_analysis.parse(text) is not None for text in texts]
    assert can_parse == [False, False, True, False, False, True, False]


def test_a_label_task_without_analysis_chooses_at_once() -> None:
    model = Sampler(["never asked"], {"2": 1.0})

    prediction = predict("sft-rag", model, task="LaMP-3")

    assert prediction.text == "2" and not model.decodings
    assert prediction.trajectory == "Answer: 2"
    assert model.chats[0][-1].content == "Answer:"


def test_a_rival_without_an_answer_has_its_bare_text() -> None:
    prediction = predict("sft-rag", Sampler([" what?\nAnd why? "]))

    assert (prediction.text, prediction.failure) == ("what?\nAnd why?", "no trajectory in the module's text")


def trajectories(*rewrites: str) -> list[str]:
    return [Form().render(Trajectory("s", "l", rewrite)) for rewrite in rewrites]


FOUR_TEXTS = trajectories("a b", "c d e", "c d f", "no")
LAST_IS_LIKELIEST = {FOUR_TEXTS[3]: 1.0}


def test_consensus_takes_the_text_most_like_the_others() -> None:
    assert predict("rpo", Sampler(FOUR_TEXTS, LAST_IS_LIKELIEST)).text == "a b"
    model = Sampler(FOUR_TEXTS, LAST_IS_LIKELIEST)

    prediction = predict("rpo", model, n=4)

    assert prediction.text == "c d e"
    greedy, *samples = model.decodings
    assert greedy.temperature == 0 and all(decoding.temperature > 0 for decoding in samples)
    assert len({decoding.seed for decoding in model.decodings}) == 4


def test_likelihood_takes_the_likeliest_text_and_reads_all() -> None:
    by_likelihood = predict("rpo", Sampler(FOUR_TEXTS, LAST_IS_LIKELIEST), n=4, select="likelihood")
    by_consensus = predict("rpo", Sampler(FOUR_TEXTS, LAST_IS_LIKELIEST), n=4)

    assert by_likelihood.text == "no"
    assert by_likelihood.usage.calls == by_consensus.usage.calls + 4
    assert by_likelihood.usage.prompt_tokens > by_consensus.usage.prompt_tokens


def test_a_text_without_an_answer_is_no_candidate() -> None:
    assert predict("rpo", Sampler(["broken", *trajectories("a b", "...")]), n=3).text == "a b"
    assert "draft stands" in str(predict("rpo", Sampler(["broken"]), n=2).failure)


def test_the_votes_of_a_label_task_are_its_chosen_labels() -> None:
    model = Sampler([Form().render(Trajectory(f"s{i}", "l", "1")) for i in range(3)])

    def score_option(chat: Chat, option: str) -> float:
        likeliest = " 2" if "s0" in chat[-1].content else " 4"
        return float(option == likeliest)

    model._scorer = score_option

    assert predict("rpo", model, task="LaMP-3", draft_text="3", n=3).text == "4"


@pytest.mark.parametrize(
    ("gate", "text", "kept_count"), [(None, "the rewrite", None), (0.5, "the draft", 1), (2, "the rewrite", 0)]
)
def test_the_gate_keeps_a_draft_that_is_likelier_by_the_margin(
    gate: float | None, text: str, kept_count: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Sampler(trajectories("the rewrite"), {"the draft": 1.0})

    prediction = predict("rpo", model, gate=gate)

    assert prediction.text == text and prediction.failure is None
    assert prediction.draft_kept is (None if kept_count is None else bool(kept_count))
    message = f"LaMP-7: {kept_count} of 1 drafts were kept because the module rated them higher than its rewrite\n"
    assert capsys.readouterr().err == ("" if kept_count is None else message)
    if gate:
        assert model.chats[-1][-1].content == "History shows: s\nDraft lacks: l\nRewrite:"
        prompt_words = sum(len(message.content.split()) for message in model.chats[-1])
        without_gate = predict("rpo", Sampler(trajectories("the rewrite"), {"the draft": 1.0})).usage
        assert prediction.usage.calls == without_gate.calls + 2, "draft and answer are each read after the analysis"
        assert prediction.usage.prompt_tokens == without_gate.prompt_tokens + 2 * (prompt_words + 2)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"draft": "off", "rl": "dpo"}, "compare with the draft"),
        ({"draft": "off", "gate": "0"}, "compare with the draft"),
        ({"analysis": "off", "writer": "teacher"}, "a teacher writes"),
    ],
)
def test_switches_that_do_not_fit_together_are_refused(knobs: dict[str, str], words: str) -> None:
    with pytest.raises(RpobenchError, match=words):
        RPO.Config(**knobs)


def test_a_rival_without_a_draft_has_no_dpo() -> None:
    with pytest.raises(ValidationError, match="rl"):
        get_method("sft-rag").Config(rl="dpo")


def test_switches_read_the_words_of_the_command_line() -> None:
    config = RPO.Config(analysis="off", draft="on", evidence="off", gate="0.1")

    assert (config.analysis, config.draft, config.evidence, config.gate) == (False, True, False, 0.1)
