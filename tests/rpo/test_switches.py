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
        self._texts, self.decodings = texts, list[Decoding]()

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        text = self._texts[len(self.decodings) % len(self._texts)]
        self.decodings.append(decoding)
        self.chats.extend(chats)
        return [Completion(text)] * len(chats)


def predict(
    method: str, module: ScriptedModel, *, task: str = "LaMP-7", drafted: str = "the draft", **config: Any
) -> Prediction:
    method_class = get_method(method)
    made = method_class(method_class.Config(**config), reflector=module)  # type: ignore[call-arg]
    drafts = FixedDrafts(drafted, allowed=method == "rpo" and config.get("draft", True))
    example = Example("1", "u", "my input", PROFILE)
    (prediction,) = made.predict(
        get_task(task), [example], PredictContext(module, drafts, FirstItems(), 0, Path("unused"))
    )
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


@pytest.mark.parametrize(("method", "config", "form", "read"), FORMS)
def test_each_method_reads_and_writes_its_own_form(method: str, config: Any, form: Form, read: str) -> None:
    module = Sampler([form.render(TRAJECTORY)])
    prediction = predict(method, module, **config)
    assert module.chats[0][-1].content == read
    assert prediction.text == "the rewrite" and prediction.failure is None
    assert prediction.evidence == (("1",) if form.evidence else ())
    assert prediction.draft == ("the draft" if form.draft else None)
    assert form.parse(form.render(form.drop_unwritten_parts(TRAJECTORY))) == form.drop_unwritten_parts(TRAJECTORY)


def test_the_forms_differ_in_the_lines_they_write() -> None:
    texts = [form.render(TRAJECTORY) for _, _, form, _ in FORMS]
    assert texts[0] == texts[3] == "History shows: s\nDraft lacks: l\nRewrite: the rewrite"
    assert texts[1] == "Rewrite: the rewrite"
    assert texts[2] == texts[5] == "History shows: s\nAnswer: the rewrite"
    assert texts[4] == texts[6] == "Answer: the rewrite"
    assert [FORMS[5][2].parse(text) is not None for text in texts] == [False, False, True, False, False, True, False]


def test_a_label_task_without_analysis_chooses_at_once() -> None:
    module = Sampler(["never asked"], {"2": 1.0})
    prediction = predict("sft-rag", module, task="LaMP-3")
    assert prediction.text == "2" and not module.decodings
    assert prediction.trajectory == "Answer: 2"
    assert module.chats[0][-1].content == "Answer:"


def test_a_rival_without_an_answer_has_its_bare_text_and_no_draft_to_stand() -> None:
    prediction = predict("sft-rag", Sampler([" what?\nAnd why? "]))
    assert (prediction.text, prediction.failure) == ("what?\nAnd why?", "no trajectory in the module's text")


def texts(*rewrites: str) -> list[str]:
    return [Form().render(Trajectory("s", "l", one)) for one in rewrites]


def test_consensus_takes_the_text_most_like_the_others_and_likelihood_the_likeliest() -> None:
    written = texts("a b", "c d e", "c d f", "no")
    likely = {written[3]: 1.0}
    assert predict("rpo", Sampler(written, likely)).text == "a b"
    module = Sampler(written, likely)
    assert predict("rpo", module, n=4).text == "c d e"
    assert module.decodings[0].temperature == 0 and all(one.temperature > 0 for one in module.decodings[1:])
    assert len({one.seed for one in module.decodings}) == 4
    likeliest = predict("rpo", Sampler(written, likely), n=4, select="likelihood")
    voted = predict("rpo", Sampler(written, likely), n=4)
    assert likeliest.text == "no"
    assert likeliest.usage.calls == voted.usage.calls + 4 and likeliest.usage.prompt_tokens > voted.usage.prompt_tokens


def test_a_text_without_an_answer_is_no_candidate() -> None:
    assert predict("rpo", Sampler(["broken", *texts("a b", "...")]), n=3).text == "a b"
    assert "draft stands" in str(predict("rpo", Sampler(["broken"]), n=2).failure)


def test_the_votes_of_a_label_task_are_its_chosen_labels() -> None:
    module = Sampler([Form().render(Trajectory(f"s{i}", "l", "1")) for i in range(3)])
    module._scorer = lambda chat, text: float(text == (" 2" if "s0" in chat[-1].content else " 4"))
    assert predict("rpo", module, task="LaMP-3", drafted="3", n=3).text == "4"


@pytest.mark.parametrize(
    ("gate", "text", "kept"), [(None, "the rewrite", None), (0.5, "the draft", 1), (2, "the rewrite", 0)]
)
def test_the_gate_keeps_a_draft_that_is_likelier_by_the_margin(
    gate: float | None, text: str, kept: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    module = Sampler(texts("the rewrite"), {"the draft": 1.0})
    prediction = predict("rpo", module, gate=gate)
    assert prediction.text == text and prediction.failure is None
    assert prediction.draft_kept is (None if kept is None else bool(kept))
    message = f"LaMP-7: {kept} of 1 drafts were kept because the module rated them higher than its rewrite\n"
    assert capsys.readouterr().err == ("" if kept is None else message)
    if gate:
        assert module.chats[-1][-1].content == "History shows: s\nDraft lacks: l\nRewrite:"
        asked = sum(len(message.content.split()) for message in module.chats[-1])
        free = predict("rpo", Sampler(texts("the rewrite"), {"the draft": 1.0})).usage
        assert prediction.usage.calls == free.calls + 2, "draft and answer are each read after the analysis"
        assert prediction.usage.prompt_tokens == free.prompt_tokens + 2 * (asked + 2)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"draft": "off", "rl": "dpo"}, "compare with the draft"),
        ({"draft": "off", "gate": "0"}, "compare with the draft"),
        ({"analysis": "off", "writer": "teacher"}, "a teacher writes"),
    ],
)
def test_switches_that_do_not_fit_together_are_refused(config: dict[str, str], words: str) -> None:
    with pytest.raises(RpobenchError, match=words):
        RPO.Config(**config)


def test_a_rival_without_a_draft_has_no_dpo() -> None:
    with pytest.raises(ValidationError, match="rl"):
        get_method("sft-rag").Config(rl="dpo")


def test_switches_read_the_words_of_the_command_line() -> None:
    config = RPO.Config(analysis="off", draft="on", evidence="off", gate="0.1")
    assert (config.analysis, config.draft, config.evidence, config.gate) == (False, True, False, 0.1)
