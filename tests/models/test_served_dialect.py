"""What a server does not take of a request is left out, told once, kept in mind, and part of the identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from chat_server import ChatServer, chats

from rpobench.models.served.dialect import Dialect
from rpobench.models.served.openai import ServedModel, open_served
from rpobench.models.served.options import parse_served, read_model_options
from rpobench.types import Completion, Decoding, Message, RpobenchError

GREEDY = Decoding(max_new_tokens=8)
SAMPLED = Decoding(max_new_tokens=8, temperature=0.7, top_p=0.9, seed=1)


def refuse(server: ChatServer, is_refused: Any, message: str, status: int = 400, **error: Any) -> None:
    original = server._answer

    def answer(body: dict[str, Any]) -> web.Response:
        if is_refused(body):
            return web.json_response({"error": {"message": message, **error}}, status=status)
        return original(body)

    server._answer = answer  # type: ignore[method-assign]


def test_the_new_name_of_the_length_is_found_and_no_other_model(server: ChatServer) -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    refuse(server, lambda body: "max_tokens" in body, words, code="unsupported_parameter", param="max_tokens")
    model = ServedModel("tiny", base_url=server.url, concurrency=1)
    identity = model.identity

    completions = model.generate(chats(5), GREEDY)

    assert all(completion.text for completion in completions) and model.identity == identity
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 8, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("name", "decoding", "message", "status"),
    [
        ("temperature", GREEDY, "'temperature' does not support 0 with this model, only the default (1)", 400),
        ("temperature", GREEDY, "`temperature` is deprecated for this model.", 400),
        ("seed", SAMPLED, "extra inputs are not permitted: seed", 422),
        ("seed", SAMPLED, 'Invalid JSON payload received. Unknown name "seed": Cannot find field.', 400),
        ("top_p", SAMPLED, "temperature_ and top_p cannot both be specified", 400),
    ],
)
def test_a_refused_parameter_is_left_out_and_named(
    server: ChatServer, capsys: pytest.CaptureFixture[str], name: str, decoding: Decoding, message: str, status: int
) -> None:
    refuse(server, lambda body: name in body and body[name] != 1, message, status)
    model = ServedModel("tiny", base_url=server.url)
    plain = model.identity

    completions = model.generate(chats(40), decoding)

    assert all(completion.text for completion in completions)
    assert model.identity == f"{plain}+without:{name}"
    assert capsys.readouterr().err.count(f"refuses {name}") == 1
    assert ServedModel("tiny", base_url=server.url).identity == model.identity, "the next process knows it"
    assert ServedModel("other", base_url=server.url).identity == f"openai:other@{server.url}"


def test_what_was_learned_is_not_forgotten_by_a_slower_request(server: ChatServer) -> None:
    model, answer = ServedModel("tiny", base_url=server.url), Completion("5")

    model._adopt(Dialect(left_out=frozenset({"temperature"})), answer)
    model._adopt(Dialect(renames_length=True), answer)
    model._adopt(Dialect(), answer)

    assert model._dialect == Dialect(renames_length=True, left_out=frozenset({"temperature"}))


def test_the_beginning_of_an_answer_is_left_out_where_refused(server: ChatServer) -> None:
    def ends_with_assistant(body: dict[str, Any]) -> bool:
        return bool(body["messages"][-1]["role"] == "assistant")

    refuse(server, ends_with_assistant, "the conversation must end with a user message")
    model = ServedModel("tiny", base_url=server.url)

    (completion,) = model.generate([(*chats(1)[0], Message("assistant", "History shows:"))], GREEDY)

    assert completion.text == "say this number 0" and model.identity.endswith("+without:assistant-prefix")


def test_a_refused_system_role_moves_into_the_users_message(server: ChatServer) -> None:
    refuse(server, lambda body: body["messages"][0]["role"] == "system", "System role not supported")
    model = ServedModel("tiny", base_url=server.url)

    (completion,) = model.generate([(Message("system", "be brief"), *chats(1)[0])], GREEDY)

    assert completion.text == "say this number 0" and model.identity.endswith("+without:system-role")
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "be brief\n\nsay this number 0"}]


def test_a_refusal_that_leaving_out_does_not_mend_changes_nothing(server: ChatServer) -> None:
    refuse(server, lambda body: True, "temperature must be 0.5 and there is no hope")
    model = ServedModel("tiny", base_url=server.url)
    identity = model.identity

    with pytest.raises(RpobenchError, match="no hope"):
        model.generate(chats(2), GREEDY)

    assert model.identity == identity == ServedModel("tiny", base_url=server.url).identity


def test_a_refused_prompt_that_speaks_of_temperature_is_a_refusal(server: ChatServer) -> None:
    refuse(server, lambda body: body["messages"][0]["content"].endswith("3"), "flagged: 'the temperature of the bomb'")
    model = ServedModel("tiny", base_url=server.url)

    completions = model.generate(chats(9), GREEDY)

    assert completions[3].permanent and "without" not in model.identity


def test_options_of_every_source_are_asked_with_and_identify(server: ChatServer, tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": True}}))
    argument = "tiny?temperature=default&max_tokens=100&think_tokens=400&reasoning_effort=high"

    model = open_served(argument, base_url=server.url, model_options=read_model_options(str(file)))
    model.generate(chats(1), GREEDY)

    (body,) = server.bodies
    assert "temperature" not in body and body["max_tokens"] == 500
    assert body["reasoning_effort"] == "high", "what stands behind the name goes before the file"
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    options = "+temperature:default+max_tokens:100+think_tokens:400"
    further = '+chat_template_kwargs:{"enable_thinking":true}+reasoning_effort:high'
    assert model.identity == f"openai:tiny@{server.url}{options}{further}"


def test_a_body_behind_the_name_is_json(server: ChatServer) -> None:
    model = open_served('tiny?body={"top_k": 4}&temperature=0.5', base_url=server.url)

    model.generate(chats(1), GREEDY)

    assert server.bodies[0]["top_k"] == 4 and server.bodies[0]["temperature"] == 0.5


def test_a_number_is_the_same_option_as_its_text() -> None:
    _, as_text = parse_served("tiny?temperature=1&max_tokens=5")
    _, as_numbers = parse_served("tiny", {"temperature": 1, "max_tokens": 5})

    assert as_text == as_numbers and as_text.identity == as_numbers.identity


@pytest.mark.parametrize(
    ("argument", "options", "complaint"),
    [
        ("tiny?temperature=warm", None, "option 'temperature' is 'warm'; give a number from 0 on, or default"),
        ("tiny?max_tokens=0", None, "option 'max_tokens' is '0'; give a whole number of tokens"),
        ("tiny?think_tokens=1.5", None, "option 'think_tokens' is '1.5'"),
        ("tiny?body=[1]", None, "option 'body' \\[1\\]: give a JSON object"),
        ("tiny", {"messages": []}, "option 'messages' is written by rpobench itself"),
        ("tiny", {"temperature": True}, "option 'temperature' is 'True'"),
        ("tiny", {"user": "sk-quite-secret-0123456789"}, "option 'user' holds the key; put it into OPENAI_API_KEY"),
        ("tiny", {"sk-quite-secret-0123456789": 1}, "option '\\[OPENAI_API_KEY\\]' holds the key"),
    ],
)
def test_wrong_options_are_named(
    argument: str, options: dict[str, Any] | None, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-quite-secret-0123456789")

    with pytest.raises(RpobenchError, match=complaint):
        parse_served(argument, options)


@pytest.mark.parametrize("text", ["nowhere.json", "{", "[1]", '{"a": NaN', '{"a": NaN}', '{"a": "\\ud800"}'])
def test_options_that_are_no_json_object(text: str) -> None:
    with pytest.raises(RpobenchError, match=r"--model-options .*: give a JSON object"):
        read_model_options(text)
