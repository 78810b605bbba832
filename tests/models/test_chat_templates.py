"""Chat templates of other models: today's date, reasoning that can be left out, roles that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.context_window import read_context_window
from rpobench.rpo.training.policy import load_tokenizer
from rpobench.types import Message, RpobenchError

CHAT = (Message("user", "hello"),)


def prefix_template(checkpoint_copy: Path, prefix: str) -> TransformersModel:
    """The model, with `prefix` before its template."""
    template = checkpoint_copy / "chat_template.jinja"
    template.write_text(prefix + template.read_text())
    return TransformersModel(checkpoint_copy)


def test_no_prompt_holds_the_day_it_was_made(checkpoint_copy: Path) -> None:
    tokens_without_date = read_context_window(checkpoint_copy).count_tokens(CHAT)
    model = prefix_template(checkpoint_copy, "Today is {{ strftime_now('%d %b %Y') }}. ")

    prompt = model.encode_prompt(CHAT)
    messages = [{"role": "user", "content": "hello"}]
    training_text = load_tokenizer(checkpoint_copy).apply_chat_template(messages, tokenize=False)

    assert model.tokenizer.decode(prompt).startswith("Today is 26 Jul 2024. ")
    assert training_text.startswith("Today is 26 Jul 2024. "), "trained with another date than asked"
    assert read_context_window(checkpoint_copy).count_tokens(CHAT) == len(prompt) > tokens_without_date


def test_a_model_that_can_leave_reasoning_out_is_asked_to(checkpoint_copy: Path) -> None:
    prefix = "{% if enable_thinking is defined and enable_thinking is false %}no {% endif %}thinking: "
    model = prefix_template(checkpoint_copy, prefix)

    prompt = model.encode_prompt(CHAT)

    assert model.tokenizer.decode(prompt).startswith("no thinking: ")
    assert read_context_window(checkpoint_copy).count_tokens(CHAT) == len(prompt)


def test_a_template_that_refuses_a_role_is_one_line(checkpoint_copy: Path) -> None:
    refusal = "{% if messages[0]['role'] == 'user' %}{{ raise_exception('no user role') }}{% endif %}"
    prefix_template(checkpoint_copy, refusal)

    with pytest.raises(RpobenchError, match=r"its chat template refuses this chat \(no user role\)"):
        read_context_window(checkpoint_copy).count_tokens(CHAT)
