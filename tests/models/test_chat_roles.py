"""Chat templates without a system role, or whose roles take turns: no text of a chat is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from chat_templates import DROPS_SYSTEM, LOSES_SYSTEM, REFUSES_SYSTEM, copy_with_template

from rpobench import get_model
from rpobench.models.local.roles import fold_system, join_equal_roles
from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.context_window import read_context_window
from rpobench.types import Decoding, Message

SYSTEM, QUESTION = Message("system", "Be brief"), Message("user", "hello")
ANSWER, NEXT_QUESTION = Message("assistant", "hi"), Message("user", "again")
WITHOUT_PLACE = {"refused": REFUSES_SYSTEM, "dropped": DROPS_SYSTEM, "lost once answered": LOSES_SYSTEM}


@pytest.fixture(params=WITHOUT_PLACE)
def folder(request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copy_with_template(tiny_checkpoint, tmp_path, WITHOUT_PLACE[request.param])


def test_a_system_text_is_folded_into_the_users_message(folder: Path) -> None:
    model = TransformersModel(folder)
    folded_question = Message("user", "Be brief\n\nhello")

    for rest in ((), (ANSWER,), (ANSWER, NEXT_QUESTION)):
        prompt = model.encode_prompt((SYSTEM, QUESTION, *rest))
        assert model.tokenizer.decode(prompt).count("Be brief\n\nhello") == 1
        assert prompt == model.encode_prompt((folded_question, *rest))


def test_what_is_counted_is_what_is_asked(folder: Path) -> None:
    model = TransformersModel(folder)
    chat = (SYSTEM, QUESTION)

    assert read_context_window(folder).count_tokens(chat) == len(model.encode_prompt(chat))


def test_a_system_option_without_a_role_for_it_is_told(folder: Path) -> None:
    plain, prompted = TransformersModel(folder), get_model(f"hf:{folder}?system=Be+brief")

    (answer,) = prompted.generate([(QUESTION,)], Decoding(6))
    (expected,) = plain.generate([(SYSTEM, QUESTION)], Decoding(6))

    assert answer.text == expected.text
    assert prompted.identity.startswith(plain.identity + "+system:") and prompted.identity.endswith(":folded")
    assert "folded" not in plain.identity, "nothing is folded into the prompts of the tasks"


def test_a_template_with_a_system_role_keeps_it(tiny_checkpoint: Path) -> None:
    model = get_model(f"hf:{tiny_checkpoint}?system=Be+brief")

    text = model.tokenizer.decode(model.encode_prompt((QUESTION,)))

    assert text.startswith("<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nhello<|im_end|>")
    assert "folded" not in model.identity


def test_neighbours_of_one_role_are_joined_where_roles_take_turns(tiny_checkpoint: Path, tmp_path: Path) -> None:
    in_turn = TransformersModel(copy_with_template(tiny_checkpoint, tmp_path, REFUSES_SYSTEM))
    chat = (QUESTION, NEXT_QUESTION)

    assert "user\nhello\n\nagain<|im_end|>" in in_turn.tokenizer.decode(in_turn.encode_prompt(chat))
    free = TransformersModel(tiny_checkpoint)
    assert "user\nhello<|im_end|>\n<|im_start|>user\nagain<" in free.tokenizer.decode(free.encode_prompt(chat))


def test_texts_keep_their_order() -> None:
    late = Message("system", "late")

    assert fold_system((SYSTEM, late, QUESTION)) == (Message("user", "Be brief\n\nlate\n\nhello"),)
    assert fold_system((SYSTEM, ANSWER)) == (Message("user", "Be brief"), ANSWER)
    assert fold_system((QUESTION, late)) == (QUESTION, Message("user", "late"))
    assert join_equal_roles((QUESTION, ANSWER, ANSWER)) == (QUESTION, Message("assistant", "hi\n\nhi"))
