"""Local models that think: room for it, thinking that the template opens, and what is read as the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_templates import MAY_THINK, OPENS_THINKING, copy_with_template
from text_files import change_json

from rpobench import get_model
from rpobench.models.completions import STILL_THINKING
from rpobench.models.local.open_thinking import find_open_thinking
from rpobench.models.local.transformers import TransformersModel
from rpobench.task.thinking import strip_thinking
from rpobench.types import Chat, Decoding, Message, RpobenchError

CHAT: Chat = (Message("user", "a kettle"),)
BEGUN: Chat = (*CHAT, Message("assistant", "History shows:"))
OPTIONS = ["[1]", "[2]"]


@pytest.fixture
def opening(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copy_with_template(tiny_checkpoint, tmp_path / "opening", OPENS_THINKING)


@pytest.fixture
def switched(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copy_with_template(tiny_checkpoint, tmp_path / "switched", MAY_THINK)


def let_write(monkeypatch: pytest.MonkeyPatch, model: Any, text: str, *, ends: bool = True) -> list[dict[str, Any]]:
    """Let the model write this text to every prompt; the prompts and limits of its calls."""
    calls: list[dict[str, Any]] = []
    ids = model.tokenizer.encode(text, add_special_tokens=False) + [model.encoder.end_of_turn] * ends

    def generate_ids(_: Any, prompts: Sequence[list[int]], decoding: Decoding, *__: Any, **___: Any) -> list[list[int]]:
        prompt_texts = [model.tokenizer.decode(prompt) for prompt in prompts]
        calls.append({"prompts": prompt_texts, "limit": decoding.max_new_tokens})
        return [ids[: decoding.max_new_tokens] for _ in prompts]

    monkeypatch.setattr("rpobench.models.local.generation.generate_ids", generate_ids)
    return calls


def test_thinking_that_a_template_opens_is_closed_where_none_is_wanted(opening: Path) -> None:
    model = TransformersModel(opening)

    prompt = model.tokenizer.decode(model.encode_prompt(CHAT))

    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert model.identity.endswith("+thinking:closed")
    begun = model.tokenizer.decode(model.encode_prompt(BEGUN))
    assert begun == f"{prompt}History shows:", "an answer is continued in the context in which it is asked"


def test_closed_thinking_is_encoded_as_one_text(opening: Path) -> None:
    change_json(opening / "tokenizer_config.json", extra_special_tokens=["<think>", "</think>"])
    model = TransformersModel(opening)

    prompt = model.encode_prompt(CHAT)
    closed = model.tokenizer.encode("<think>\n\n</think>\n\n", add_special_tokens=False)

    assert prompt[-len(closed) :] == closed
    assert prompt.count(model.tokenizer.convert_tokens_to_ids("<think>")) == 1


def test_thinking_in_the_prompt_is_taken_out_of_the_text(opening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model(f"hf:{opening}?think_tokens=40")
    calls = let_write(monkeypatch, model, "a red one</think>red")

    (completion,) = model.generate([CHAT], Decoding(8))

    assert calls[0]["prompts"][0].endswith("assistant\n<think>\n") and calls[0]["limit"] == 48
    assert completion.text == "red" and completion.failure is None and not completion.truncated
    assert completion.raw == "<think>a red one</think>red"


def test_a_text_that_ends_while_it_thinks_is_no_answer(opening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model(f"hf:{opening}?think_tokens=4")
    let_write(monkeypatch, model, "a red one, or a blue one, or a green one", ends=False)

    (completion,) = model.generate([CHAT], Decoding(2))

    assert completion.failure == STILL_THINKING and completion.permanent and completion.truncated
    assert completion.text == "" and completion.usage.completion_tokens == 6


def test_room_to_think_turns_thinking_on(switched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent, thinking = TransformersModel(switched), get_model(f"hf:{switched}?think_tokens=40")
    calls = let_write(monkeypatch, thinking, "<think>\nred?\n</think>\n\nred")

    (completion,) = thinking.generate([CHAT], Decoding(8))

    assert calls[0]["prompts"][0].endswith("<|im_start|>assistant\n")
    assert completion.text.strip() == "red"
    assert silent.tokenizer.decode(silent.encode_prompt(CHAT)).endswith("<think>\n\n</think>\n\n")
    assert thinking.identity == f"{silent.identity}+think_tokens:40+choose:generated"


def test_marks_that_a_tokenizer_calls_special_are_read(switched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_json(switched / "tokenizer_config.json", extra_special_tokens=["<think>", "</think>", "<|pause|>"])
    model = get_model(f"hf:{switched}?think_tokens=40")
    let_write(monkeypatch, model, "<think>red?</think><|pause|>red")

    (completion,) = model.generate([CHAT], Decoding(8))

    assert completion.text == "red"


def test_an_answer_that_is_begun_has_no_thinking_before_it(opening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model(f"hf:{opening}?think_tokens=40")
    calls = let_write(monkeypatch, model, "short words, and many more of them than there is room for", ends=False)

    thought, begun = model.generate([CHAT, BEGUN], Decoding(4))

    assert calls[0]["prompts"][1].endswith("<think>\n\n</think>\n\nHistory shows:")
    assert begun.usage.completion_tokens == 4 and begun.truncated and begun.failure is None
    assert thought.usage.completion_tokens > 4


def test_a_model_that_may_think_says_its_choice(switched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_model(f"hf:{switched}?think_tokens=40")
    calls = let_write(monkeypatch, model, "<think>the first?</think>[2]")

    (said,) = model.choose([CHAT], OPTIONS, neutral=[CHAT])
    assert said.text == "[2]" and calls[0]["limit"] == 40 + 32

    (scored,) = model.choose([BEGUN], OPTIONS)
    assert scored.text in OPTIONS and len(calls) == 1, "a begun answer is chosen by likelihood"
    assert model.loglikelihood([CHAT], ["[1]"]) == TransformersModel(switched).loglikelihood([CHAT], ["[1]"])


def test_a_text_without_an_end_was_cut(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TransformersModel(tiny_checkpoint)

    let_write(monkeypatch, model, "red")
    assert not model.generate([CHAT], Decoding(8))[0].truncated

    let_write(monkeypatch, model, "red, or blue, or green, or red again", ends=False)
    (cut,) = model.generate([CHAT], Decoding(8))
    assert cut.truncated and cut.failure is None and cut.raw is None


def test_no_room_to_think_is_the_model_as_it_was(tiny_checkpoint: Path) -> None:
    plain = TransformersModel(tiny_checkpoint)

    assert get_model(f"hf:{tiny_checkpoint}?think_tokens=0").identity == plain.identity
    assert get_model(f"hf:{tiny_checkpoint}", think_tokens=0).identity == plain.identity
    assert get_model(f"hf:{tiny_checkpoint}", think_tokens=9).identity.endswith("+think_tokens:9+choose:generated")
    own_option_first = get_model(f"hf:{tiny_checkpoint}?think_tokens=7", think_tokens=9)
    assert "+think_tokens:7+" in own_option_first.identity


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "²"])
def test_room_is_a_whole_number(tiny_checkpoint: Path, value: str) -> None:
    with pytest.raises(RpobenchError, match=f"think_tokens={value} is no number of tokens"):
        get_model(f"hf:{tiny_checkpoint}?think_tokens={value}")


def test_room_to_think_counts_against_the_context(switched: Path) -> None:
    change_json(switched / "config.json", max_position_embeddings=64)

    with pytest.raises(RpobenchError, match="and 104 more exceed its context of 64"):
        get_model(f"hf:{switched}?think_tokens=100").generate([CHAT], Decoding(4))


def test_options_may_follow_the_embedded_models_name(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> None:
    monkeypatch.setattr("rpobench.models.local.embedded.fetch_checkpoint", lambda: tiny_checkpoint)

    with_question_mark, with_colon = get_model("smollm2-135m?think_tokens=9"), get_model("smollm2-135m:think_tokens=9")

    assert with_question_mark.identity == with_colon.identity
    assert "+think_tokens:9+" in with_colon.identity


@pytest.mark.parametrize(
    ("prompt", "closed"),
    [
        ("<|assistant|><think>\n", "<think>\n\n</think>\n\n"),
        ("[/INST][THINK]", "[THINK]\n\n[/THINK]\n\n"),
        ("<|CHATBOT|><|START_THINKING|>", "<|START_THINKING|>\n\n<|END_THINKING|>\n\n"),
        ("assistant\n<seed:think>", "<seed:think>\n\n</seed:think>\n\n"),
    ],
)
def test_each_form_of_thinking_is_closed_in_its_own_way(prompt: str, closed: str) -> None:
    open_thinking = find_open_thinking(prompt)

    assert open_thinking is not None and open_thinking.closed == closed
    assert strip_thinking(f"{closed}red") is not None


@pytest.mark.parametrize("prompt", ["assistant\n", "assistant\n<think>\n\n</think>\n\n", "<think> then say", ""])
def test_a_prompt_that_opens_no_thinking(prompt: str) -> None:
    assert find_open_thinking(prompt) is None


def test_channels_whose_tokens_are_special_are_read(switched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>"]
    change_json(switched / "tokenizer_config.json", extra_special_tokens=tokens)
    model = get_model(f"hf:{switched}?think_tokens=60")
    text = "<|channel|>analysis<|message|>red?<|end|><|start|>assistant<|channel|>final<|message|>red"
    let_write(monkeypatch, model, text)

    (completion,) = model.generate([CHAT], Decoding(8))

    assert completion.text == "red"
