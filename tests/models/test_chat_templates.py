"""Chat templates of other models: today's date, reasoning that can be left out, roles that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.context_window import read_context_window
from rpobench.rpo.training.policy import load_tokenizer
from rpobench.types import Message, RpobenchError

CHAT = (Message("user", "hello"),)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))


def prefix_template(checkpoint: Path, prefix: str) -> TransformersModel:
    """The model, with `prefix` before its template."""
    template = checkpoint / "chat_template.jinja"
    template.write_text(prefix + template.read_text())
    return TransformersModel(checkpoint)


def test_no_prompt_holds_the_day_it_was_made(checkpoint: Path) -> None:
    tokens_without_date = read_context_window(checkpoint).count_tokens(CHAT)
    model = prefix_template(checkpoint, "Today is {{ strftime_now('%d %b %Y') }}. ")

    prompt = model.encode_prompt(CHAT)
    messages = [{"role": "user", "content": "hello"}]
    training_text = load_tokenizer(checkpoint).apply_chat_template(messages, tokenize=False)

    assert model.tokenizer.decode(prompt).startswith("Today is 26 Jul 2024. ")
    assert training_text.startswith("Today is 26 Jul 2024. "), "trained with another date than asked"
    assert read_context_window(checkpoint).count_tokens(CHAT) == len(prompt) > tokens_without_date


def test_a_model_that_can_leave_reasoning_out_is_asked_to(checkpoint: Path) -> None:
    prefix = "{% if enable_thinking is defined and enable_thinking is false %}no {% endif %}thinking: "
    model = prefix_template(checkpoint, prefix)

    prompt = model.encode_prompt(CHAT)

    assert model.tokenizer.decode(prompt).startswith("no thinking: ")
    assert read_context_window(checkpoint).count_tokens(CHAT) == len(prompt)


def test_a_template_that_refuses_a_role_is_one_line(checkpoint: Path) -> None:
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    prefix_template(checkpoint, refusal)

    with pytest.raises(RpobenchError, match=r"its chat template refuses this chat \(no system role\)"):
        read_context_window(checkpoint).count_tokens((Message("system", "rewrite"), *CHAT))
