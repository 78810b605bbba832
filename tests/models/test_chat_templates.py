"""Chat templates of other models: today's date, reasoning that can be left out, roles that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.context_window import checkpoint_room
from rpobench.rpo.training.common import load_tokenizer
from rpobench.types import Message, RpobenchError

CHAT = (Message("user", "hello"),)


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))


def with_head(checkpoint: Path, head: str) -> TransformersModel:
    """The model, its template with `head` before it."""
    template = checkpoint / "chat_template.jinja"
    template.write_text(head + template.read_text())
    return TransformersModel(checkpoint)


def test_no_prompt_holds_the_day_it_was_made(checkpoint: Path) -> None:
    plain = checkpoint_room(checkpoint).tokens(CHAT)
    model = with_head(checkpoint, "Today is {{ strftime_now('%d %b %Y') }}. ")
    text = model.tokenizer.decode(model.encode_prompt(CHAT))
    assert text.startswith("Today is 26 Jul 2024. ")
    assert (
        load_tokenizer(checkpoint)
        .apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
        .startswith("Today is 26 Jul 2024. ")
    ), "trained with another date than asked"
    assert checkpoint_room(checkpoint).tokens(CHAT) == len(model.encode_prompt(CHAT)) > plain


def test_a_model_that_can_leave_reasoning_out_is_asked_to(checkpoint: Path) -> None:
    head = "{% if enable_thinking is defined and enable_thinking is false %}no {% endif %}thinking: "
    model = with_head(checkpoint, head)
    assert model.tokenizer.decode(model.encode_prompt(CHAT)).startswith("no thinking: ")
    assert checkpoint_room(checkpoint).tokens(CHAT) == len(model.encode_prompt(CHAT))


def test_a_reflection_model_whose_template_refuses_a_role_is_one_line(checkpoint: Path) -> None:
    with_head(checkpoint, "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}")
    with pytest.raises(RpobenchError, match=r"its chat template refuses this chat \(no system role\)"):
        checkpoint_room(checkpoint).tokens((Message("system", "rewrite"), *CHAT))
